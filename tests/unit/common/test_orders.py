"""What an order is."""

from __future__ import annotations

import uuid
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from platform_common.orders import MAXIMUM_AMOUNT, MAXIMUM_ITEMS, Order, order_body, parse_order
from platform_common.validation import parse_json_object

USERS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255)
AMOUNTS = st.decimals(0, MAXIMUM_AMOUNT, places=2)


@given(user=USERS, items=st.integers(1, MAXIMUM_ITEMS), amount=AMOUNTS, as_text=st.booleans())
def test_every_order_within_the_limits_is_kept_exactly(
    user: str, items: int, amount: Decimal, as_text: bool
) -> None:
    order = parse_order(
        {
            "user_id": user,
            "number_of_items": str(items) if as_text else items,
            "total_amount": str(amount) if as_text else amount,
        }
    )
    assert (order.user_id, order.number_of_items, order.total_amount) == (user, items, amount)


@given(user=USERS, items=st.integers(1, MAXIMUM_ITEMS), amount=AMOUNTS | st.none())
def test_a_message_is_read_as_the_order_it_was_made_of(user: str, items: int, amount: Decimal | None) -> None:
    film = None if amount is not None else 5
    order = Order(user_id=user, number_of_items=items, total_amount=amount, film_id=film)
    order_id = uuid.uuid4()
    content = parse_json_object(order_body(order, order_id))
    assert content.pop("order_id") == str(order_id)
    assert parse_order(content) == order
