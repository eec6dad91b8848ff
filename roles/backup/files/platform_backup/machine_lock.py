"""The lock of the machine, which runs of Ansible take too (ansible/tasks/lock.yml)."""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from platform_backup.problem import BackupProblem

LOCK: Final = Path("/run/play-with-containers.lock")
_NAME: Final = "scheduled-backup"
_AGAIN_SECONDS: Final = 5.0


@contextmanager
def machine_lock(wait_seconds: float) -> Iterator[None]:
    """Hold the lock for the length of a `with`.

    Args:
        wait_seconds: how long to wait for another run's end.

    Raises:
        BackupProblem: somebody else has it still.
    """
    since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    text = f"{getpass.getuser()}@{socket.gethostname()} since {since} ({_NAME}, process {os.getpid()})"
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            # Made in one step; its "target" is the text.
            LOCK.symlink_to(text)
            break
        except FileExistsError:
            holder = _holder()
            if _is_left_by_us(holder):
                LOCK.unlink(missing_ok=True)
            elif time.monotonic() >= deadline:
                raise BackupProblem(
                    f"{holder} has been working on this machine for {wait_seconds:.0f} s, so there is no "
                    "backup now. If that run is over, run it again with `BREAK_LOCK=yes`."
                ) from None
            else:
                time.sleep(_AGAIN_SECONDS)
    try:
        yield
    finally:
        # Somebody who thought this run was over may have broken it.
        if _holder() == text:
            LOCK.unlink()


def _holder() -> str:
    try:
        return os.readlink(LOCK)
    except FileNotFoundError:
        return ""


def _is_left_by_us(text: str) -> bool:
    """Say whether a scheduled backup of this machine left the lock that was killed."""
    found = re.fullmatch(rf"\S+@(\S+) since \S+ \({_NAME}, process (\d+)\)", text)
    return found is not None and found[1] == socket.gethostname() and not Path(f"/proc/{found[2]}").exists()
