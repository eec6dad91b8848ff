"""A calm load at a fixed rate, whose answers are timed."""

from __future__ import annotations

import time
from typing import Final

from tests.api import Api
from tests.clients import Clients

CLIENTS: Final = 8


class Paced(Clients):
    """Reads movies and posts orders at a fixed rate for as long as the `with` block lasts.

    A request's time counts from when it was due, so that one slow answer does not hide those behind it.

    Args:
        api: the platform.
        rate: requests per second.
    """

    def __init__(self, api: Api, rate: float) -> None:
        super().__init__(CLIENTS)
        self._api = api
        self._interval = CLIENTS / rate
        self.seconds: list[float] = []
        self.failed: list[str] = []

    def percentile(self, part: float) -> float:
        """Give the time, in milliseconds, within which this part of the requests was answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def _run(self, number: int) -> None:
        due = time.monotonic() + number * self._interval / CLIENTS
        order = {"user_id": f"paced {number}", "number_of_items": 1, "total_amount": "1"}
        reads = True
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            answer = self._api.get("/api/movies?limit=10") if reads else self._api.post("/api/billing", order)
            with self._lock:
                self.seconds.append(time.monotonic() - due)
                if answer.status_code != 200:
                    self.failed.append(f"{answer.status_code} {answer.text[:200]}")
            reads = not reads
            due += self._interval
