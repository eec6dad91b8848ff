"""Messages that are orders, and how many of them are stored."""

from __future__ import annotations

import uuid
from typing import Any

from helpers import Database


def message(number: int, **changes: Any) -> dict[str, Any]:
    """Return an order whose id is made of `number`."""
    content = {"user_id": f"user {number}", "number_of_items": 1 + number, "total_amount": "9.90"}
    return {"order_id": str(uuid.UUID(int=number)), **content, **changes}


def stored(database: Database) -> int:
    """Return how many orders are in the table."""
    [(number,)] = database.execute("SELECT count(*) FROM orders")
    return int(number)
