"""The flag that says: this app is about to stop.

It is one byte of memory that processes forked after this module's import share, so that every
worker sees it in the same moment, and no file is needed.
"""

from __future__ import annotations

import mmap
from typing import Final

_flag: Final = mmap.mmap(-1, 1)


def start_draining() -> None:
    """Tell every process of this app that it is about to stop."""
    _flag[0] = 1


def is_draining() -> bool:
    """Say whether this app is about to stop."""
    return _flag[0] == 1


def reset_draining() -> None:
    """Clear the flag; for tests."""
    _flag[0] = 0
