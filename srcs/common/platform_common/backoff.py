"""How long to wait before the next try."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double up to a limit, each shortened at random.

    So many who failed together do not come back together ("full jitter", Marc Brooker, AWS
    Architecture Blog, 2015).
    """

    def __init__(self, first: float = 0.2, limit: float = 5.0) -> None:
        """Take the longest first delay and the longest of all, in seconds."""
        self._first = first
        self._limit = limit
        self._failures = 0

    def next_delay(self) -> float:
        """Count one more failure and return the seconds to wait."""
        longest = min(self._limit, self._first * 2 ** min(self._failures, 16))
        self._failures += 1
        return random.uniform(self._first / 2, longest)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Forget the failures, after a success."""
        self._failures = 0
