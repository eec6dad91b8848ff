"""The orders in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from billing_app.tables import orders
from platform_common.database import Prepared, retry_once
from platform_common.orders import Order
from platform_common.repository import Repository

# SQLSTATE classes that say that the values are at fault, not the database (PostgreSQL's manual,
# appendix A): data exception, integrity constraint violation.
_DATA_ERROR_CLASSES: Final = ("22", "23")


_ONE: Final = Prepared("one_order", select(orders).where(orders.c.order_id == bindparam("order_id")))


class StoredOrder(NamedTuple):
    """One row of the table orders."""

    order_id: UUID
    user_id: str
    number_of_items: int
    total_amount: Decimal | None
    film_id: int | None
    stored_at: datetime

    def is_of(self, order: Order) -> bool:
        """Say whether this row has the content of `order`."""
        return (self.user_id, self.number_of_items, self.total_amount, self.film_id) == (
            order.user_id,
            order.number_of_items,
            order.total_amount,
            order.film_id,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the order as the API shows it."""
        return {
            "order_id": str(self.order_id),
            "user_id": self.user_id,
            "number_of_items": self.number_of_items,
            "total_amount": None if self.total_amount is None else str(self.total_amount),
            "film_id": self.film_id,
            "stored_at": self.stored_at.isoformat().replace("+00:00", "Z"),
        }


@dataclass(frozen=True)
class IdentifiedOrder:
    """An order and the id that makes it the same order wherever it comes up."""

    order_id: UUID
    order: Order


class Outcome(NamedTuple):
    """What became of the orders given to `Orders.store`, by their place in the list."""

    stored: Sequence[int]
    repeated: Sequence[int]
    conflicting: Sequence[int]


class Orders(Repository):
    """What can be done with orders."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, orders)

    @retry_once
    def get(self, order_id: UUID) -> StoredOrder | None:
        """Return the order with this id, None where there is none."""
        with self._engine.connect() as connection:
            row = _ONE.run(connection, order_id=order_id).one_or_none()
        return StoredOrder(*row) if row else None

    def store(self, batch: Sequence[IdentifiedOrder]) -> Outcome:
        """Store all of `batch` in one transaction; when this returns, it is committed.

        An order whose id is stored already changes nothing: it is repeated if the content is the
        same, else conflicting. So storing a batch again after a lost connection is harmless.
        """
        first_places: dict[UUID, int] = {}
        for place, item in enumerate(batch):
            first_places.setdefault(item.order_id, place)
        with self._engine.begin() as connection:
            new = _insert(connection, [batch[place] for place in first_places.values()])
            stored = [place for order_id, place in first_places.items() if order_id in new]
            others = sorted(set(range(len(batch))) - set(stored))
            existing = _select(connection, {batch[place].order_id for place in others})
        repeated = [place for place in others if existing[batch[place].order_id].is_of(batch[place].order)]
        return Outcome(stored, repeated, sorted(set(others) - set(repeated)))

    def rehearse(self, item: IdentifiedOrder) -> None:
        """Do what `store` does with this order, without a commit."""
        with self._engine.connect() as connection:
            _insert(connection, [item])
            _select(connection, {item.order_id})
            connection.rollback()

    def leave_connections(self) -> None:
        """Use new connections from now on: in a forked process, where the others are the parent's."""
        self._engine.dispose(close=False)


def is_data_error(error: DBAPIError) -> bool:
    """Say whether `error` is about the values that were to be stored."""
    code = getattr(error.orig, "pgcode", None) or ""
    return code[:2] in _DATA_ERROR_CLASSES


def _insert(connection: Connection, items: Iterable[IdentifiedOrder]) -> set[UUID]:
    """Insert the orders that are new, and return their ids."""
    rows = [{"order_id": item.order_id, **item.order.model_dump()} for item in items]
    # Always in the same order, so that two billing-apps with the same orders never deadlock.
    rows.sort(key=lambda row: row["order_id"])
    statement = (
        insert(orders).on_conflict_do_nothing(index_elements=["order_id"]).returning(orders.c.order_id)
    )
    return set(connection.execute(statement, rows).scalars())


def _select(connection: Connection, order_ids: set[UUID]) -> dict[UUID, StoredOrder]:
    if not order_ids:
        return {}
    rows = connection.execute(select(*orders.c).where(orders.c.order_id.in_(order_ids)))
    return {row.order_id: StoredOrder(*row) for row in rows}
