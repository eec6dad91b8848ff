"""A lease that at most one process on this machine holds, and that ends with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Lease:
    """An advisory lock on a file (flock(2)): the kernel frees it when the process ends, however it ends.

    Args:
        path: the file; made if missing, never removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lease if it is free; return whether this process holds it now.

        Raises:
            OSError: the file cannot be opened.
        """
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lease back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
