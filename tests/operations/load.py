"""A small load from outside that counts what failed."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Self

import requests
from tests.api import Api
from tests.clients import Clients
from tests.support import wait_until

CLIENTS = 4
ATTEMPT_SECONDS = 0.1


class Load(Clients):
    """Reads movies and posts orders, from several clients, for as long as the `with` block lasts.

    Attributes:
        outcomes: how often each outcome came: a request's name and its status, or the kind of its error.
        orders: the ids of the orders that were answered with 200.
        longest_silence: seconds, the longest time between two successful answers to any client.
    """

    def __init__(self, api: Api, *, clients: int = CLIENTS) -> None:
        super().__init__(clients)
        self._api = api
        self._last_success = 0.0
        self.outcomes: Counter[str] = Counter()
        self.orders: list[str] = []
        self.longest_silence = 0.0

    def __enter__(self) -> Self:
        self._last_success = time.monotonic()
        super().__enter__()
        try:
            wait_until(lambda: self.total >= CLIENTS, "the load has begun")
        except BaseException:
            # Nobody calls __exit__ then, and the threads would go on.
            self._end()
            raise
        return self

    @property
    def total(self) -> int:
        """How many requests were made."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> dict[str, int]:
        """What did not end with 200, and how often."""
        return {outcome: count for outcome, count in self.outcomes.items() if not outcome.endswith(" 200")}

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            self._count("read", "GET", "/api/movies?limit=5")
            body = {"user_id": f"load {number}", "number_of_items": 1, "total_amount": "2.50"}
            answer = self._count("order", "POST", "/api/billing", json=body)
            if answer is not None and answer.status_code == 200:
                self.orders.append(answer.json()["order_id"])

    def _count(self, name: str, method: str, path: str, **arguments: Any) -> requests.Response | None:
        answer = None
        try:
            answer = self._api.call(method, path, **arguments)
            outcome = str(answer.status_code)
        except requests.RequestException as error:
            outcome = type(error).__name__
            # Who is refused waits a little: thousands of attempts would slow down what is starting.
            self._stop.wait(ATTEMPT_SECONDS)
        with self._lock:
            self.outcomes[f"{name} {outcome}"] += 1
            if outcome == "200":
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - self._last_success)
                self._last_success = now
        return answer
