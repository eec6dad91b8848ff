"""The forwarder: hands stored orders over to the broker, oldest first, one process at a time."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from api_gateway_app.metrics import ORDERS_FORWARDED, PUBLISHERS, STORE_AGE, STORE_DEPTH
from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.lease import Lease
from api_gateway_app.orders.message import StoredOrder
from api_gateway_app.orders.publisher import Publisher, State
from api_gateway_app.orders.store import CLAIMS_AT_ONCE, OrderStore, StoreUnavailable

_logger = logging.getLogger(__name__)

# Small enough that a new order, which shares the broker with them, waits some milliseconds only.
BATCH: Final = 250
CONFIRM_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5
MAXIMUM_PAUSE_SECONDS: Final = 5.0
HOUSEKEEPING_SECONDS: Final = 60.0


class Forwarder:
    """A thread that empties the store into the broker while this process holds the lease.

    An order leaves the store only after its confirm. A crash in between makes it arrive twice,
    which its id undoes where it is stored for good.

    Args:
        store: where the orders are.
        publisher: how they go.
        lease: held by the one process that forwards.
        key_lifetime_seconds: idempotency keys older than this are dropped on the way.
    """

    def __init__(
        self, store: OrderStore, publisher: Publisher, lease: Lease, *, key_lifetime_seconds: float
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._lease = lease
        self._key_lifetime = key_lifetime_seconds
        self._confirmed: list[int] = []
        self._next_housekeeping = 0.0
        self.failure = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread and give the lease back."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                progress = self._round()
                self.failure = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must go on
                self._report(error)
                progress = 0
                pause = min(pause * 2, MAXIMUM_PAUSE_SECONDS)
            else:
                pause = PAUSE_SECONDS
            if not progress:
                self._stopping.wait(pause)
        self._lease.release()

    def _round(self) -> int:
        """Hand over one batch; return how many orders it held, 0 if there is nothing to do now."""
        for state in State:
            PUBLISHERS.labels(state.value).set(state is self._publisher.state)
        if not self._lease.acquire():
            return 0
        self._keep_house()
        self._remove_confirmed()
        if self._publisher.state is not State.READY or not (batch := self._store.oldest(BATCH)):
            return 0
        self._confirmed = self._publish(batch)
        self._remove_confirmed()
        return len(batch)

    def _publish(self, batch: list[StoredOrder]) -> list[int]:
        deliveries = [self._publisher.publish(order.message) for order in batch]
        deadline = time.monotonic() + CONFIRM_SECONDS
        confirmed, refused = [], 0
        for order, delivery in zip(batch, deliveries, strict=True):
            outcome = delivery.wait(max(0.0, deadline - time.monotonic()))
            if outcome is Outcome.CONFIRMED:
                confirmed.append(order.number)
            elif outcome in {Outcome.REFUSED, Outcome.RETURNED}:
                refused += 1
            elif outcome is None:
                self._publisher.suspect(order.message)
        if refused:
            raise RefusedError(f"the broker refused {refused} of {len(batch)} orders", confirmed)
        return confirmed

    def _remove_confirmed(self) -> None:
        """Forget what the broker has. Nothing more is forwarded before that worked: it would go twice."""
        if self._confirmed:
            self._store.remove(self._confirmed)
            ORDERS_FORWARDED.inc(len(self._confirmed))
            self._confirmed = []

    def _keep_house(self) -> None:
        backlog = self._store.backlog()
        STORE_DEPTH.set(backlog.depth)
        STORE_AGE.set(backlog.oldest_age_seconds)
        if time.monotonic() >= self._next_housekeeping:
            self._next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
            dropped = self._store.drop_claims(lifetime_seconds=self._key_lifetime, limit=CLAIMS_AT_ONCE)
            if dropped == CLAIMS_AT_ONCE:
                # There are more, and they may come faster than once a minute; orders have their turn between.
                self._next_housekeeping = 0.0
            if backlog.depth == 0:
                self._store.give_back_space()

    def _report(self, error: Exception) -> None:
        if isinstance(error, RefusedError):
            self._confirmed = error.confirmed
        known = isinstance(error, StoreUnavailable | RefusedError | OSError)
        if str(error) != self.failure:
            self.failure = str(error)
            _logger.error("Stored orders cannot be handed over: %s", error, exc_info=None if known else error)


class RefusedError(Exception):
    """The broker refused orders; `confirmed` are the numbers of those that it took."""

    def __init__(self, text: str, confirmed: list[int]) -> None:
        super().__init__(text)
        self.confirmed = confirmed
