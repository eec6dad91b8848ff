"""One message on its way to the broker, and what can become of it."""

from __future__ import annotations

import enum
import threading

from api_gateway_app.orders.message import OrderMessage


class Outcome(enum.Enum):
    """What became of a message. Only CONFIRMED means that the broker has it for good."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The broker said no (basic.nack), for example because the queue is full."""
    RETURNED = "returned"
    """No queue is bound for it (basic.return)."""
    UNCONFIRMED = "unconfirmed"
    """It was sent, or may have been, and no confirm came: the broker has it or not."""
    NOT_SENT = "not_sent"
    """There is no connection that takes messages now."""


class Delivery:
    """One message on its way; whoever published it waits here."""

    __slots__ = ("_done", "message", "outcome", "returned")

    def __init__(self, message: OrderMessage) -> None:
        self.message = message
        self.outcome = Outcome.UNCONFIRMED
        self.returned = False
        self._done = threading.Event()

    def finish(self, outcome: Outcome) -> None:
        """Set the outcome, once; later calls change nothing."""
        if not self._done.is_set():
            self.outcome = outcome
            self._done.set()

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, None if there is none after `seconds`."""
        return self.outcome if self._done.wait(seconds) else None
