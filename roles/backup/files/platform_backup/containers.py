"""Commands inside the platform's containers."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from platform_backup.problem import BackupProblem

APPLICATION: Final = "play-with-containers-backup"
# A tenth of the processor where others want it too, and the disk after them. The lowest priority would be
# next to none, and a snapshot would stay open for as long as the machine is busy.
_NICENESS: Final = 10


def let_requests_go_first() -> None:
    """Lower the priority of this process and of the commands that it runs in containers."""
    os.nice(max(0, _NICENESS - os.nice(0)))


def inside(container: str, *command: str) -> list[str]:
    """Give the command line that runs a command in a container, with our standard input and our priority."""
    priority = ("nice", "-n", str(os.nice(0)))
    return ["docker", "exec", "-i", "-e", f"PGAPPNAME={APPLICATION}", container, *priority, *command]


def of(service: str) -> str:
    """Give a service's container on this machine: the task that a Swarm runs, or the one of the same name.

    Args:
        service: its name.
    """
    label = f"label=com.docker.swarm.service.name={service}"
    tasks = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", label], capture_output=True, text=True, check=False
    )
    return next(iter(tasks.stdout.split()), service)


def ask(container: str, *command: str, seconds: float = 60) -> str:
    """Run a command in a container, and give what it prints.

    Raises:
        BackupProblem: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            inside(container, *command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackupProblem(no_answer(container, seconds)) from error
    if done.returncode != 0:
        raise BackupProblem(f"{container}: {command[0]} failed: {last_line(done.stderr or done.stdout)}")
    return done.stdout


@contextmanager
def running(
    container: str, *command: str, stdin: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in a container, with pipes; it is over after the `with`."""
    with subprocess.Popen(
        inside(container, *command), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def bounded(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill a process that is not done with something in time; the event tells that this has happened."""
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Give a pipe of a process that was started with one."""
    if stream is None:
        raise RuntimeError("the process was started without this pipe")
    return stream


def check_end(process: subprocess.Popen[bytes], what: str) -> None:
    """Wait for the end of a command whose output was read to its end.

    Raises:
        BackupProblem: it failed.
    """
    said = pipe(process.stderr).read().decode(errors="replace")
    if process.wait() != 0:
        raise BackupProblem(f"{what} failed: {last_line(said)}")


def no_answer(container: str, seconds: float) -> str:
    """Say that a container took too long."""
    return f"{container} did not answer within {seconds:.0f} s: `make status` shows how it is."


def last_line(text: str) -> str:
    """Give the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
