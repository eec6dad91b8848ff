"""Filters for the lock that keeps two runs from working on one machine at the same time."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

LOCK = re.compile(
    r"(?P<user>\S+)@(?P<host>\S+) since (?P<since>\S+) \((?P<playbook>\S+), process (?P<process>\d+)\)"
)

# What a process that may have the lock is called: a playbook, or a scheduled backup.
RUNS = (b"ansible", b"play-with-containers")


def lock_text(playbook: str) -> str:
    """Say who works on a machine, since when and with what.

    Args:
        playbook: name of the playbook that runs.
    """
    # Filters run in a worker of ansible-playbook; the process that lives as long as the run is its parent.
    parent = multiprocessing.parent_process()
    process = parent.pid if parent else os.getpid()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{getpass.getuser()}@{socket.gethostname()} since {since} ({playbook}, process {process})"


def lock_is_stale(text: str) -> bool:
    """Say whether the run that has a lock is known to be over: started on this computer, its process gone."""
    found = LOCK.fullmatch(text)
    if found is None or found["host"] != socket.gethostname():
        return False
    try:
        command = Path(f"/proc/{found['process']}/cmdline").read_bytes()
    except FileNotFoundError:
        return True
    return not any(word in command for word in RUNS)


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {"lock_text": lock_text, "lock_is_stale": lock_is_stale}
