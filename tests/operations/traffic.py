"""Reads and writes from 32 connections, each answer judged, so that one lost or done twice is found."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from tests.api import Api
from tests.operations.load import Load

CLIENTS: Final = 32
READS: Final = frozenset({"page", "movie", "stored order"})


class Traffic(Load):
    """Each client makes a movie, reads it, changes it, deletes it, places an order, and reads one.

    Attributes:
        wrong: what was answered with 200, but not right.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api, clients=CLIENTS)
        self.wrong: list[str] = []
        self._tag = uuid.uuid4().hex
        self._order_id = api.order({"user_id": self._tag, "number_of_items": 1, "total_amount": "1"})
        api.stored_order(self._order_id)

    def failed_of(self, names: Collection[str]) -> dict[str, int]:
        """What of these requests did not end with 200, and how often."""
        failed = self.failed.items()
        return {outcome: count for outcome, count in failed if outcome.rpartition(" ")[0] in names}

    def left_over(self) -> list[dict[str, Any]]:
        """The movies of this traffic that are still there: with no failure, none, or one was made twice."""
        found = self._api.get("/api/movies", params={"title": self._tag})
        movies: list[dict[str, Any]] = found.json()["movies"]
        return movies

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            self._make_and_delete(f"{self._tag} {number}")
            self._count("page", "GET", "/api/movies?limit=5")
            self._count("stored order", "GET", f"/api/billing/{self._order_id}")
            order = {"user_id": self._tag, "number_of_items": 1, "total_amount": "2.50"}
            answer = self._count("order", "POST", "/api/billing", json=order)
            if answer is not None and answer.status_code == 200:
                self.orders.append(answer.json()["order_id"])

    def _make_and_delete(self, title: str) -> None:
        made = self._count("make", "POST", "/api/movies", json={"title": title, "description": "made"})
        if made is None or made.status_code != 200:
            return
        path = f"/api/movies/{made.json()['id']}"
        self._judge(self._count("movie", "GET", path), made.json())
        changed = made.json() | {"description": "changed"}
        self._judge(self._count("change", "PUT", path, json={"description": "changed"}), changed)
        self._judge(self._count("delete", "DELETE", path), {"deleted": 1})

    def _judge(self, answer: Any, expected: dict[str, Any]) -> None:
        if answer is not None and answer.status_code == 200 and answer.json() != expected:
            self.wrong.append(f"{answer.request.method} {answer.url}: {answer.text}, not {expected}")
