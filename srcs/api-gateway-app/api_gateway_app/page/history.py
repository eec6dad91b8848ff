"""The last ten minutes of the numbers, for the small charts."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Final

from api_gateway_app.page.traffic import Tally, percentile

POINT_SECONDS: Final = 5
POINTS: Final = 120
NUMBERS: Final = ("rate", "p99", "waiting", "dead_letters", "kept")


class History:
    """Points of five seconds each: requests per second, their p99, and what waited at the end of it."""

    def __init__(self, started_at: float) -> None:
        self.points: deque[list[float | None]] = deque(maxlen=POINTS)
        self._began_at = started_at
        self._requests = 0
        self._durations: Counter[int] = Counter()

    def add(self, tally: Tally) -> None:
        """Count what happened."""
        self._requests += tally.requests
        self._durations.update(tally.durations)

    def close_point(self, now: float, waiting: Any) -> list[float | None] | None:
        """Return a new point if five seconds are over.

        Args:
            now: a clock that never steps.
            waiting: what waits now: in the queue, among the dead letters, on the gateway; None if unknown.
        """
        seconds = now - self._began_at
        if seconds < POINT_SECONDS:
            return None
        point = [round(self._requests / seconds, 1), percentile(self._durations, 0.99), *waiting]
        self.points.append(point)
        self._began_at, self._requests, self._durations = now, 0, Counter()
        return point
