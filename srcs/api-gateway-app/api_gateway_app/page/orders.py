"""The way of each recent order: accepted, confirmed or kept, out of the queue, stored; with times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from api_gateway_app.page.traffic import LoggedOrder

# Remembered, so that a page can follow one that was placed a moment ago.
REMEMBERED: Final = 2000
# Shown to every page.
SHOWN: Final = 12
# Enough to tell orders apart, and too little to ask the API for one: a page gives no stranger's order away.
SHORT_ID: Final = 8


@dataclass(slots=True)
class OrderSteps:
    """When what happened to one order, in seconds since 1970; None: not yet, or nobody saw when.

    Attributes:
        accepted: the call came.
        confirmed: the broker had it, and the client got its answer.
        kept: the gateway had it on its volume, and the client got its answer.
        handed_over: a kept order went to the broker.
        left_queue: it is no longer among those that wait in the queue.
        stored: it is in the table orders.
    """

    order_id: str
    request_id: str
    accepted: float | None = None
    confirmed: float | None = None
    kept: float | None = None
    handed_over: float | None = None
    left_queue: float | None = None
    stored: float | None = None
    is_new: bool = field(default=True, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return what a page is told.

        What was seen only after the order was stored has no time: it happened before.
        """

        def seen_in_time(at: float | None) -> float | None:
            return at if at is None or self.stored is None or at <= self.stored else None

        return {
            "id": self.order_id[:SHORT_ID],
            "request_id": self.request_id,
            "accepted": self.accepted,
            "confirmed": self.confirmed,
            "kept": self.kept,
            "handed_over": seen_in_time(self.handed_over),
            "left_queue": seen_in_time(self.left_queue),
            "stored": self.stored,
        }


class Orders:
    """The recent orders, oldest first. Used by one thread only."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, OrderSteps] = OrderedDict()

    def accept(self, order: LoggedOrder) -> None:
        """Note an order that was accepted; one that came again with its Idempotency-Key is the same."""
        steps = self._orders.get(order.order_id)
        if steps is None:
            steps = OrderSteps(order.order_id, order.request_id)
            self._remember(steps)
        elif steps.accepted is not None or order.began_at > (steps.stored or order.began_at):
            return
        # A page may have followed it to the table before its line of the log was read.
        steps.request_id, steps.accepted, steps.is_new = order.request_id, order.began_at, True
        if order.is_kept:
            steps.kept = order.ended_at
        else:
            steps.confirmed = order.ended_at

    def _remember(self, steps: OrderSteps) -> None:
        self._orders[steps.order_id] = steps
        while len(self._orders) > REMEMBERED:
            self._orders.popitem(last=False)

    def store_was_seen(self, oldest: float | None, at: float) -> None:
        """Note that at `at` the oldest order on the volume was that of `oldest`; None: there was none."""
        for steps in self._unstored():
            if steps.kept and steps.handed_over is None and steps.kept < at and steps.kept < (oldest or at):
                steps.handed_over = at
                steps.is_new = True

    def queue_was_empty(self, at: float) -> None:
        """Note that at `at` nothing waited in the queue: what was there before has left it."""
        for steps in self._unstored():
            came_at = steps.confirmed or steps.handed_over
            if came_at is not None and came_at < at and steps.left_queue is None:
                steps.left_queue = at
                steps.is_new = True

    def was_stored(self, order_id: str, at: float) -> None:
        """Note that an order is in the table since `at`; also one that was not known."""
        steps = self._orders.get(order_id)
        if steps is None:
            steps = OrderSteps(order_id, "")
            self._remember(steps)
        if steps.stored is None:
            steps.stored = at
            steps.is_new = True

    def find(self, beginning: str) -> OrderSteps | None:
        """Return the newest order whose id begins so."""
        for order_id in reversed(self._orders):
            if order_id.startswith(beginning):
                return self._orders[order_id]
        return None

    def newest(self) -> list[OrderSteps]:
        """Return those that every page is told, newest first."""
        newest = (steps for steps in reversed(self._orders.values()) if steps.accepted is not None)
        return [steps for steps, _ in zip(newest, range(SHOWN), strict=False)]

    def _unstored(self) -> Iterator[OrderSteps]:
        return (steps for steps in self._orders.values() if steps.stored is None)
