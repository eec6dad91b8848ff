"""How slow a client may be, and how much memory all of them may take together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

# A body or a large answer has a first grace, and after that must come, or be taken, at this rate on
# average: 128 KiB within 18 seconds, 1 MiB within 74.
GRACE_SECONDS: Final = 10.0
MINIMUM_BYTES_PER_SECOND: Final = 16 * 1024


class TooSlowError(Exception):
    """The other side does not keep the pace."""


class Pace:
    """The time that is left for a transfer; it grows with what has been transferred.

    Args:
        grace_seconds: the time for nothing at all.
        bytes_per_second: what earns another second.
    """

    def __init__(
        self,
        grace_seconds: float = GRACE_SECONDS,
        bytes_per_second: float = MINIMUM_BYTES_PER_SECOND,
    ) -> None:
        self._ends_at = time.monotonic() + grace_seconds
        self._bytes_per_second = bytes_per_second

    def advance(self, size: int) -> None:
        """Count `size` bytes."""
        self._ends_at += size / self._bytes_per_second

    async def keep(self, step: Awaitable[T]) -> T:
        """Return what `step` gives.

        Raises:
            TooSlowError: the time is over.
        """
        # Not asyncio.timeout: the server's awaitables do not always end when they are cancelled.
        task = asyncio.ensure_future(_finish(step))
        done, _ = await asyncio.wait({task}, timeout=max(0.0, self._ends_at - time.monotonic()))
        if not done:
            task.cancel()
            raise TooSlowError
        return task.result()


async def _finish(step: Awaitable[T]) -> T:
    return await step


class Budget:
    """Bytes that all transfers of one kind may hold in memory together, in this worker.

    Used by the event loop's thread alone.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Take `size` bytes if there are so many left; says whether there were."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size
