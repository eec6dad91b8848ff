"""An order on its way to the broker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """What is published for one order.

    Attributes:
        order_id: the order's UUID as text; also the message's id, by which doubles are told.
        body: the JSON document.
        request_id: X-Request-ID of the call that brought the order.
    """

    order_id: str
    body: bytes
    request_id: str


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order in the store.

    Attributes:
        number: its place in the row; smaller is older.
        message: what to publish.
    """

    number: int
    message: OrderMessage
