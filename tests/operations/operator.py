"""Who operates the platform: the playbooks, run as a person would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from tests.library.settings import ENV_FILE, PATIENCE, ROOT
from tests.library.support import wait_until

INVENTORY: Final = os.environ.get("PLATFORM_INVENTORY", str(ROOT / "inventory.ini"))
SECONDS: Final = 1500 * PATIENCE
# A task that hangs fails before its test is given up, and says which one it is.
TASK_SECONDS: Final = int(600 * PATIENCE)


@dataclass(frozen=True)
class Result:
    """How a run of a playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changes(self) -> list[str]:
        """What changed something, or would in check mode: each task's name, its machine and its item."""
        changes: list[str] = []
        task = ""
        planned = False
        for line in self.output.splitlines():
            planned = line.endswith("what a run would do") or (planned and line.startswith("  "))
            if planned:
                changes.append(line)
            elif named := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\] \**$", line):
                task = named[1]
            elif line.startswith("changed: "):
                changes.append(f"{task}: {line}")
        counted = [int(count) for count in re.findall(r"changed=(\d+)", self.output)]
        assert counted, f"there is no recap\n{self.output}"
        assert bool(changes) == any(counted), f"the recap says changed={counted}\n{self.output}"
        return changes

    @property
    def text(self) -> str:
        """What was printed, with every stretch of white space made one space: sentences are wrapped."""
        return " ".join(self.output.split())


def _without_colour(environment: Mapping[str, str]) -> dict[str, str]:
    """Molecule asks for colour, whose codes would stand in the middle of sentences."""
    return {name: value for name, value in environment.items() if name != "ANSIBLE_FORCE_COLOR"}


class Operator:
    """Runs playbooks on the machine under test.

    Args:
        root: the repository, or a changed copy of it.
        inventories: the files that say which machines there are.
        env_file: the accounts of them all; None where the inventory says it.
    """

    def __init__(
        self,
        root: Path = ROOT,
        *,
        inventories: Sequence[str] = (INVENTORY,),
        env_file: Path | None = ENV_FILE,
    ) -> None:
        self._root = root
        self._inventories = [word for inventory in inventories for word in ("-i", inventory)]
        self._common = {"platform_env_file": str(env_file)} if env_file else {}

    def start(
        self, playbook: str, *arguments: str, answer_only: bool = False, **variables: Any
    ) -> subprocess.Popen[str]:
        """Start a playbook, in a process group of its own; `variables` are extra variables."""
        extra = {**self._common, **variables}
        return subprocess.Popen(
            ["ansible-playbook", *self._inventories, playbook, "-e", json.dumps(extra), *arguments],
            cwd=self._root,
            env=_without_colour(os.environ)
            | {"ANSIBLE_CONFIG": str(self._root / "ansible.cfg"), "ANSIBLE_TASK_TIMEOUT": str(TASK_SECONDS)}
            | ({"CALM_ONLY_SUMMARY": "1"} if answer_only else {}),
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
        output = finish(process)
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

    def kill_when(self, condition: Callable[[], bool], playbook: str, **variables: Any) -> None:
        """Run a playbook until a condition holds, and kill it there, as a power cut would."""
        process = self.start(playbook, **variables)
        try:
            wait_until(
                lambda: condition() or process.poll() is not None, "the moment to kill comes", seconds=SECONDS
            )
            assert process.poll() is None, "the run ended before that moment"
        finally:
            if process.poll() is None:
                kill_with_children(process.pid)
            process.communicate()


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a playbook, and give what it printed; one that hangs shows where, and is killed."""
    try:
        return process.communicate(timeout=SECONDS)[0]
    except BaseException:
        processes = subprocess.run(
            ["ps", "axfww", "-o", "pid,stat,etimes,wchan:20,args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        kill_with_children(process.pid)
        print("What ran when the playbook was given up:")
        print("\n".join(line[:300] for line in processes if not line.endswith("]")))
        print(f"Its output:\n{process.communicate()[0]}")
        raise


def kill_with_children(pid: int) -> None:
    """Kill a process and all it has started: Ansible's workers are in sessions of their own."""
    process = psutil.Process(pid)
    # Stopped first, it starts no more of them.
    process.suspend()
    for victim in (*process.children(recursive=True), process):
        with suppress(psutil.NoSuchProcess):
            victim.kill()


def copy_of_repository(target: Path) -> Path:
    """Copy what describes and makes the platform, to run a changed copy of it."""
    parts = ("ansible", "ansible.cfg", "roles", "scripts", "site.yml", "srcs", ".env.example")
    subprocess.run(["cp", "-a", *(str(ROOT / part) for part in parts), str(target)], check=True)
    return target


def copy_of_sources(target: Path) -> Path:
    """Copy srcs/ into a folder, to build images from a changed copy of it."""
    target.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", str(ROOT / "srcs"), str(target)], check=True)
    return target / "srcs"


def append(sources: Path, name: str, line: str) -> None:
    file = sources / name
    file.write_text(f"{file.read_text()}{line}\n")
