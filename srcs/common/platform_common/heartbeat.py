"""Heartbeats: how a process shows the others of its app that it still does its rounds.

A heartbeat lives in memory that is shared with processes forked after it was made.
"""

from __future__ import annotations

import mmap
import os
import time


class Heartbeat:
    """The process id and the last sign of life of one process.

    Each is one aligned machine word: a reader in another process never sees half a value, as it would
    with `struct.pack_into`, which clears the buffer before it fills it.
    """

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, 16)).cast("q")

    def beat(self, process_id: int | None = None) -> None:
        """Say that a process is alive, now: the calling one, or that with `process_id`."""
        # The time first: a process id is never seen without one.
        self._words[1] = time.monotonic_ns()
        self._words[0] = process_id or os.getpid()

    def process_id(self) -> int | None:
        """Return the id of the process that beats here, None before its first beat."""
        return self._words[0] or None

    def age(self) -> float | None:
        """Return the seconds since the last beat, None before the first."""
        return max(0, time.monotonic_ns() - self._words[1]) / 1e9 if self._words[0] else None
