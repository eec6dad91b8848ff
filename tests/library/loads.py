"""Clients that work at the same time for as long as a `with` block lasts, and count their answers."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection
from types import TracebackType
from typing import Any, Final, Self

import requests
from tests.library.api import Api
from tests.library.support import wait_until

CLIENTS: Final = 4
ATTEMPT_SECONDS: Final = 0.1
READS: Final = frozenset({"page", "movie", "stored order"})


class Clients:
    """Threads that each run `_run(number)`, which returns soon after `_stop` is set.

    Args:
        count: how many.

    Raises: at the end of the block, what ended one of them.
    """

    def __init__(self, count: int) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._run_safely, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what ended a client, if something did."""
        if self._failure is not None:
            raise RuntimeError("a client of the load failed") from self._failure

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run_safely(self, number: int) -> None:
        try:
            self._run(number)
        except BaseException as error:  # noqa: BLE001 (it is raised by `check`)
            self._failure = error
            self._stop.set()

    def _run(self, number: int, /) -> None:
        raise NotImplementedError


class Load(Clients):
    """Reads movies and posts orders.

    Args:
        api: the platform.
        clients: how many.
        rate: requests per second of all together; without one, each client asks as soon as it was answered.
        reads: whether movies are read, too.

    Attributes:
        outcomes: how often each outcome came: a request's name and its status, or the kind of its error.
        orders: the ids of the orders that were answered with 200.
        seconds: what each request took. At a fixed rate it counts from when it was due, so that one slow
            answer does not hide those behind it.
        longest_silence: seconds, the longest time between two successful answers to any client.
    """

    def __init__(
        self, api: Api, *, clients: int = CLIENTS, rate: float | None = None, reads: bool = True
    ) -> None:
        super().__init__(clients)
        self._api = api
        self._interval = clients / rate if rate else 0.0
        self._reads = reads
        self._due = [0.0] * clients
        self._last_success = 0.0
        self.outcomes: Counter[str] = Counter()
        self.orders: list[str] = []
        self.seconds: list[float] = []
        self.longest_silence = 0.0

    def __enter__(self) -> Self:
        now = self._last_success = time.monotonic()
        clients = len(self._due)
        self._due = [now + number * self._interval / clients for number in range(clients)]
        super().__enter__()
        try:
            wait_until(lambda: self.total >= clients or self._failure is not None, "the load has begun")
            self.check()
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

    def failed_of(self, names: Collection[str]) -> dict[str, int]:
        """What of these requests did not end with 200, and how often."""
        failed = self.failed.items()
        return {outcome: count for outcome, count in failed if outcome.rpartition(" ")[0] in names}

    def percentile(self, part: float) -> float:
        """Give the time, in milliseconds, within which this part of the requests was answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            if self._reads:
                self._ask(number, "read", "GET", "/api/movies?limit=5")
            self._order(number, f"load {number}")

    def _order(self, number: int, user_id: str) -> None:
        body = {"user_id": user_id, "number_of_items": 1, "total_amount": "2.50"}
        answer = self._ask(number, "order", "POST", "/api/billing", json=body)
        if answer is not None and answer.status_code == 200:
            self.orders.append(answer.json()["order_id"])

    def _ask(
        self, number: int, name: str, method: str, path: str, **arguments: Any
    ) -> requests.Response | None:
        """Send a request of the client `number` when it is due, and count what came of it."""
        began = time.monotonic()
        if self._interval:
            if self._stop.wait(max(0.0, self._due[number] - began)):
                return None
            began = self._due[number]
            self._due[number] += self._interval
        answer = None
        try:
            answer = self._api.call(method, path, **arguments)
            outcome = str(answer.status_code)
        except requests.RequestException as error:
            outcome = type(error).__name__
        now = time.monotonic()
        with self._lock:
            self.outcomes[f"{name} {outcome}"] += 1
            self.seconds.append(now - began)
            if outcome == "200":
                self.longest_silence = max(self.longest_silence, now - self._last_success)
                self._last_success = now
        if answer is None:
            # Thousands of attempts would slow down what is starting.
            self._stop.wait(ATTEMPT_SECONDS)
        return answer


class Traffic(Load):
    """Each of 32 clients makes a movie, reads it, changes it, deletes it, places an order, and reads one.

    Each answer is judged, so that a request that was lost or done twice is found.

    Attributes:
        wrong: what was answered with 200, but not right.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api, clients=32)
        self.wrong: list[str] = []
        self._tag = uuid.uuid4().hex
        self._order_id = api.order({"user_id": self._tag, "number_of_items": 1, "total_amount": "1"})
        api.stored_order(self._order_id)

    def left_over(self) -> list[dict[str, Any]]:
        """The movies of this traffic that are still there: with no failure, none, or one was made twice."""
        found = self._api.get("/api/movies", params={"title": self._tag})
        movies: list[dict[str, Any]] = found.json()["movies"]
        return movies

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            self._make_and_delete(number)
            self._ask(number, "page", "GET", "/api/movies?limit=5")
            self._ask(number, "stored order", "GET", f"/api/billing/{self._order_id}")
            self._order(number, self._tag)

    def _make_and_delete(self, number: int) -> None:
        movie = {"title": f"{self._tag} {number}", "description": "made"}
        made = self._ask(number, "make", "POST", "/api/movies", json=movie)
        if made is None or made.status_code != 200:
            return
        path = f"/api/movies/{made.json()['id']}"
        self._judge(self._ask(number, "movie", "GET", path), made.json())
        changed = made.json() | {"description": "changed"}
        self._judge(self._ask(number, "change", "PUT", path, json={"description": "changed"}), changed)
        self._judge(self._ask(number, "delete", "DELETE", path), {"deleted": 1})

    def _judge(self, answer: requests.Response | None, expected: dict[str, Any]) -> None:
        if answer is not None and answer.status_code == 200 and answer.json() != expected:
            self.wrong.append(f"{answer.request.method} {answer.url}: {answer.text}, not {expected}")
