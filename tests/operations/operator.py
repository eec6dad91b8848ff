"""Who operates the platform: the playbooks, run as a person would run them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.settings import ENV_FILE, PATIENCE, ROOT

INVENTORY: Final = os.environ.get("PLATFORM_INVENTORY", str(ROOT / "inventory.ini"))
SECONDS: Final = 1500 * PATIENCE


@dataclass(frozen=True)
class Result:
    """How a run of a playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all machines."""
        return sum(map(int, re.findall(r"changed=(\d+)", self.output)))

    @property
    def text(self) -> str:
        """What was printed, with every stretch of white space made one space: sentences are wrapped."""
        return " ".join(self.output.split())


class Operator:
    """Runs playbooks of this repository on the machine under test."""

    def start(self, playbook: str, *arguments: str, answer_only: bool = False, **variables: Any) -> subprocess.Popen[str]:
        """Start a playbook, in a process group of its own; `variables` are extra variables."""
        extra = {"platform_env_file": str(ENV_FILE), **variables}
        return subprocess.Popen(
            ["ansible-playbook", "-i", INVENTORY, playbook, "-e", json.dumps(extra), *arguments],
            cwd=ROOT,
            env=os.environ
            | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
            | ({"PLATFORM_ANSWER_ONLY": "1"} if answer_only else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def attempt(self, playbook: str, *arguments: str, answer_only: bool = False, **variables: Any) -> Result:
        """Run a playbook to its end, whatever that is."""
        started = time.monotonic()
        process = self.start(playbook, *arguments, answer_only=answer_only, **variables)
        output, _ = process.communicate(timeout=SECONDS)
        return Result(process.returncode, output, time.monotonic() - started)

    def run(self, playbook: str, *arguments: str, answer_only: bool = False, **variables: Any) -> Result:
        """Run a playbook that must succeed."""
        result = self.attempt(playbook, *arguments, answer_only=answer_only, **variables)
        assert result.code == 0, result.output
        return result

    def refused(self, playbook: str, *mentions: str, **variables: Any) -> Result:
        """Run a playbook that must fail, with a sentence that mentions these texts."""
        result = self.attempt(playbook, **variables)
        assert result.code != 0, result.output
        for mention in mentions:
            assert mention in result.text, result.output
        return result

    @contextmanager
    def killed_when(self, shows: str, playbook: str, **variables: Any) -> Iterator[None]:
        """Run a playbook until its output, with -v, shows a text, and kill it there, as a power cut would."""
        process = self.start(playbook, "-v", **variables)
        assert process.stdout
        try:
            for line in process.stdout:
                if shows in line:
                    break
            else:
                raise AssertionError(f"the run ended before it showed {shows!r}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        yield


def copy_of_sources(target: Path) -> Path:
    """Copy srcs/, to build images from a changed copy of it."""
    subprocess.run(["cp", "-a", str(ROOT / "srcs"), str(target)], check=True)
    return target / "srcs"
