"""The orders of a load: what was sent, what was answered, and in the end what became of each."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# One in so many orders has an Idempotency-Key, so that its client may send it again.
KEYED_IN: Final = 3
CUT: Final = 0
"""The status of a request that got no answer: a broken connection, or none in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request for an order got.

    Attributes:
        sent_at: seconds of the monotonic clock.
        ended_at: the same, of its answer or failure.
        status: the HTTP status; CUT where there was no answer.
        order_id: the id that a 200 gave.
        text: why it is not a 200, for people.
    """

    sent_at: float
    ended_at: float
    status: int
    order_id: str = ""
    text: str = ""


@dataclass(slots=True)
class SentOrder:
    """An order of the load. Its content follows from the run's name and its number.

    Attributes:
        run: the run's name, with which every user of it begins.
        number: its place in the run, from 0.
        answers: what each of its requests got; more than one only where it has a key.
    """

    run: str
    number: int
    answers: list[Answer] = field(default_factory=list)

    @property
    def user_id(self) -> str:
        """Who orders: a user of its own for every order, by which its rows are found."""
        return f"{self.run}-{self.number}"

    @property
    def key(self) -> str | None:
        """The Idempotency-Key, None for those that have none."""
        return f"key of {self.user_id}" if self.number % KEYED_IN == 0 else None

    @property
    def content(self) -> tuple[int, str | None, int | None]:
        """number_of_items, total_amount and film_id, as the table shows them."""
        chance = random.Random(self.user_id)  # noqa: S311 - no secret
        if self.number % 10 == 9:
            return 1, None, chance.randint(1, 10**6)
        return chance.randint(1, 1000), f"{chance.randint(0, 10**9) / 100:.2f}", None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document."""
        items, amount, film = self.content
        if film is not None:
            return {"user_id": self.user_id, "film_id": film}
        return {"user_id": self.user_id, "number_of_items": items, "total_amount": amount}

    @property
    def accepted_ids(self) -> set[str]:
        """The ids that 200s gave: one, if all is well."""
        return {answer.order_id for answer in self.answers if answer.status == 200}


class Journal:
    """All orders of a run. Each is written to a file before it is sent, and each answer when it is there.

    The file outlives this process; a finding can be followed through it.

    Args:
        path: the file; one line for each event, separated by tabs.
        run: the run's name.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path = path
        self.run = run
        self.orders: list[SentOrder] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", buffering=1)
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def next_order(self) -> SentOrder:
        """Return a new order, on record as about to be sent."""
        with self._lock:
            order = SentOrder(self.run, len(self.orders))
            self.orders.append(order)
            self._write("send", order.user_id)
        return order

    def note(self, order: SentOrder, answer: Answer) -> None:
        """Put an answer on record."""
        with self._lock:
            order.answers.append(answer)
            self._write("answer", order.user_id, str(answer.status), answer.order_id or answer.text)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _write(self, *fields: str) -> None:
        self._file.write("\t".join((f"{time.monotonic() - self._started:.3f}", *fields)) + "\n")
