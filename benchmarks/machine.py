"""The machine that the benchmarks run on: its Docker Engine, through a shell command."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent


class BenchError(Exception):
    """The benchmarks cannot go on; the text says why and what to do."""


class Machine:
    """A machine with a Docker Engine.

    Args:
        where: "local" for this computer, else a host of the SSH configuration that `vagrant up` writes.
    """

    def __init__(self, where: str) -> None:
        self._prefix: list[str] = []
        self._privileges = ["sudo"] if os.geteuid() else []
        if where != "local":
            config = ROOT / ".vagrant" / "ssh_config"
            if not config.exists():
                raise BenchError("There is no machine: `make up` first, or --on local after `make local`.")
            self._prefix = ["ssh", "-F", str(config), where]

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return (
            [*self._prefix, shlex.join(["sudo", *arguments])]
            if self._prefix
            else [*self._privileges, *arguments]
        )

    def run(self, *arguments: str, stdin: bytes = b"", seconds: float = 300) -> str:
        """Run a command there and return what it prints.

        Raises:
            BenchError: it failed, or took longer than `seconds`.
        """
        try:
            done = subprocess.run(
                self._command(arguments), input=stdin, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{' '.join(arguments[:4])} took longer than {seconds:.0f} s.") from error
        if done.returncode:
            output = (done.stderr or done.stdout).decode(errors="replace")[-1500:].strip()
            raise BenchError(f"{' '.join(arguments[:4])} failed: {output}")
        return done.stdout.decode(errors="replace")

    def docker(self, *arguments: str, stdin: bytes = b"", seconds: float = 300) -> str:
        """Run `docker` there and return what it prints."""
        return self.run("docker", *arguments, stdin=stdin, seconds=seconds)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `docker` there; its output is a pipe."""
        return subprocess.Popen(
            self._command(["docker", *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """Return what Docker knows about containers or images."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *names))
        return found


def result(output: str) -> dict[str, Any]:
    """Return the figures that a tool printed.

    Raises:
        BenchError: it printed none.
    """
    for line in output.splitlines():
        if line.startswith("RESULT "):
            figures: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return figures
    raise BenchError(f"A tool of the benchmarks gave no result: {output[-1000:]}")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Return once `condition` holds.

    Raises:
        BenchError: it does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(0.2)
