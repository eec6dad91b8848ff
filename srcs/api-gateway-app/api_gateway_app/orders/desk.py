"""Where an order is accepted: confirmed by the broker, or else stored on disk."""

from __future__ import annotations

import hashlib
import logging
import uuid
from dataclasses import dataclass
from typing import Final

from api_gateway_app.metrics import ORDERS_PUBLISHED, ORDERS_REFUSED, ORDERS_STORED
from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.publisher import Publisher
from api_gateway_app.orders.shared_keys import SharedKeys
from api_gateway_app.orders.store import OrderStore, StoreUnavailable
from platform_common.orders import KEY_LIFETIME_SECONDS, Order, order_body
from platform_common.problems import Problem

RETRY_SECONDS: Final = 5
# Of the ids of orders with an idempotency key; chosen at random, once.
_NAMESPACE: Final = uuid.UUID("2f0b5d0c-6c1e-4f5e-9a39-8f1f3c1d7a52")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcceptedOrder:
    """An order that is safe: its id, and whether it is kept on our disk and not on the broker's."""

    order_id: str
    is_kept: bool


class OrderDesk:
    """Accepts orders. What `accept` returned for is safe: on the broker's disk or on ours.

    Args:
        publisher: the way to the broker.
        store: our disk.
        keeps: whether an order that the broker does not confirm is kept in the store, instead of refused.
        shared_keys: the idempotency keys of all gateways; None where this is the only one.
    """

    def __init__(
        self,
        publisher: Publisher,
        store: OrderStore,
        *,
        keeps: bool = True,
        shared_keys: SharedKeys | None = None,
    ) -> None:
        self._publisher = publisher
        self._store = store
        self._keeps = keeps
        self._shared_keys = shared_keys

    def accept(self, order: Order, *, idempotency_key: str | None, request_id: str) -> AcceptedOrder:
        """Keep `order`.

        Args:
            order: what was ordered.
            idempotency_key: the same order of the same user with the same key is one order, at whichever
                gateway; another order with that key is refused for 24 hours.
            request_id: X-Request-ID of the call.

        Raises:
            Problem: 422 if the user has sent the key with another order; 503 if the order can be
                kept nowhere.
        """
        try:
            order_id = self._identify(order, idempotency_key)
            is_kept = self._keep(OrderMessage(order_id, order_body(order, order_id), request_id))
        except StoreUnavailable as error:
            ORDERS_REFUSED.inc()
            _logger.error("An order was refused, because it cannot be stored: %s", error)
            raise Problem(
                503,
                "Service Unavailable",
                f"The order cannot be kept now. Send it again in {RETRY_SECONDS} seconds.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            ) from error
        return AcceptedOrder(order_id, is_kept)

    def _identify(self, order: Order, idempotency_key: str | None) -> str:
        if idempotency_key is None:
            return str(uuid.uuid4())
        key = _digest_of_key(order.user_id, idempotency_key)
        content = hashlib.sha256(order.canonical_bytes()).digest()
        # The id follows from user, key and order, so that it is the same at every gateway. The records are
        # for another order under the same key: our own, in which SQLite decides over all workers which came
        # first, and for what it does not know yet, billing-app's of all gateways.
        # Each of them then publishes the order itself, under that id: nobody answers 200 for an
        # order that only another, who may die, has in hand. billing-app stores one of them.
        order_id = str(uuid.uuid5(_NAMESPACE, (key + content).hex()))
        if (
            self._shared_keys is not None
            and not self._store.is_claimed(key, lifetime_seconds=KEY_LIFETIME_SECONDS)
            and self._shared_keys.claim(key, content) not in {content, None}
        ):
            raise _another_order()
        claim = self._store.claim(key, content, order_id, lifetime_seconds=KEY_LIFETIME_SECONDS)
        if claim.content != content:
            raise _another_order()
        return claim.order_id

    def _keep(self, message: OrderMessage) -> bool:
        """Give `message` to the broker, else to the store; return whether it is in the store."""
        outcome = self._publisher.deliver(message)
        ORDERS_PUBLISHED.labels(outcome.value).inc()
        if outcome is Outcome.CONFIRMED:
            return False
        if not self._keeps:
            raise StoreUnavailable(f"the broker has not taken it ({outcome.value}), and none is kept here")
        self._store.keep(message)
        ORDERS_STORED.inc()
        return True


def _another_order() -> Problem:
    return Problem(
        422,
        "Unprocessable Content",
        "This Idempotency-Key came with another order before. "
        "Send that order again as it was, or use a new key for a new order.",
    )


def _digest_of_key(user_id: str, key: str) -> bytes:
    # The length keeps apart what would read the same when written one after the other.
    return hashlib.sha256(f"{len(user_id)}:{user_id}{key}".encode()).digest()
