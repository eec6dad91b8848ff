from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.library.api import Api, assert_problem

FIELDS = {"order_id", "user_id", "number_of_items", "total_amount", "film_id", "stored_at"}

# What is posted, and (user_id, number_of_items, total_amount, film_id) as stored.
ORDERS: list[tuple[str, tuple[str, int, str | None, int | None]]] = [
    ('{"user_id": "20", "number_of_items": "99", "total_amount": "250"}', ("20", 99, "250", None)),
    ('{"user_id": 20, "number_of_items": 99, "total_amount": 250}', ("20", 99, "250", None)),
    ('{"user_id": "20", "number_of_items": 99, "total_amount": "250"}', ("20", 99, "250", None)),
    ('{"film_id": 1, "user_id": "user123"}', ("user123", 1, None, 1)),
    ('{"film_id": "1", "user_id": 123}', ("123", 1, None, 1)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": 0}', ("a", 1, "0", None)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": "0.00"}', ("a", 1, "0", None)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": 0.1}', ("a", 1, "0.1", None)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": "0.01"}', ("a", 1, "0.01", None)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": 4.35}', ("a", 1, "4.35", None)),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": "1.10"}', ("a", 1, "1.1", None)),
    (
        '{"user_id": "a", "number_of_items": 2147483647, "total_amount": 9999999999.99}',
        ("a", 2147483647, "9999999999.99", None),
    ),
    (
        '{"user_id": "a", "number_of_items": "2147483647", "total_amount": "9999999999.99"}',
        ("a", 2147483647, "9999999999.99", None),
    ),
    (
        '{"user_id": "a", "number_of_items": 1, "total_amount": "9999999999.990"}',
        ("a", 1, "9999999999.99", None),
    ),
    ('{"user_id": "a", "number_of_items": 1, "total_amount": -0}', ("a", 1, "0", None)),
    ('{"user_id": "a", "number_of_items": 1e2, "total_amount": "1e2"}', ("a", 100, "100", None)),
    ('{"user_id": "a", "number_of_items": 99.0, "total_amount": 0e999999}', ("a", 99, "0", None)),
    ('{"user_id": 20.0, "number_of_items": "099", "total_amount": 1}', ("20", 99, "1", None)),
    ('{"user_id": -5, "number_of_items": 1, "total_amount": 1}', ("-5", 1, "1", None)),
    ('{"user_id": 2e1, "film_id": 1}', ("20", 1, None, 1)),
    ('{"user_id": -0.0, "film_id": 1}', ("0", 1, None, 1)),
    ('{"user_id": 1e254, "film_id": 1}', ("1" + "0" * 254, 1, None, 1)),
    ('{"user_id": " ", "number_of_items": 1, "total_amount": 1}', (" ", 1, "1", None)),
    ('{"film_id": 9223372036854775807, "user_id": "a"}', ("a", 1, None, 9223372036854775807)),
    ('{"film_id": 3, "user_id": "a", "number_of_items": 2}', ("a", 2, None, 3)),
    ('{"film_id": 3, "user_id": "a", "number_of_items": 2, "total_amount": "9.90"}', ("a", 2, "9.90", 3)),
    ('{"film_id": null, "user_id": "a", "number_of_items": 2, "total_amount": 1}', ("a", 2, "1", None)),
    (
        '{"user_id": 123456789012345678901234567890, "number_of_items": 1, "total_amount": 1}',
        ("123456789012345678901234567890", 1, "1", None),
    ),
]


@pytest.mark.parametrize(("text", "stored"), ORDERS, ids=[text for text, _ in ORDERS])
def test_an_order_is_stored_exactly_as_it_was_sent(
    api: Api, text: str, stored: tuple[str, int, str | None, int | None]
) -> None:
    before = datetime.now(UTC)
    response = api.send_text("POST", "/api/billing", text)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    answer = response.json()
    assert answer == {"message": "Message posted", "order_id": str(UUID(answer["order_id"]))}

    order = api.stored_order(answer["order_id"])
    user_id, number_of_items, total_amount, film_id = stored
    assert order.keys() == FIELDS
    assert order["order_id"] == answer["order_id"]
    assert order["user_id"] == user_id
    assert order["number_of_items"] == number_of_items
    assert order["film_id"] == film_id
    if total_amount is None:
        assert order["total_amount"] is None
    else:
        assert isinstance(order["total_amount"], str)
        assert Decimal(order["total_amount"]) == Decimal(total_amount)
    stored_at = datetime.fromisoformat(order["stored_at"])
    # The node's clock and this machine's need not agree to the second.
    assert abs(stored_at - before) < timedelta(minutes=5)


@pytest.mark.parametrize("character", ["a", "é", "字", "🎬"])
def test_a_user_id_may_have_255_characters(api: Api, character: str) -> None:
    user_id = character * 255
    order_id = api.order({"user_id": user_id, "number_of_items": 1, "total_amount": 1})
    assert api.stored_order(order_id)["user_id"] == user_id


def test_equal_orders_without_a_key_are_two_orders(api: Api) -> None:
    body = {"user_id": "twice", "number_of_items": 1, "total_amount": 1}
    first, second = api.order(body), api.order(body)
    assert first != second
    assert api.stored_order(first)["order_id"] == first
    assert api.stored_order(second)["order_id"] == second


def test_many_orders_in_a_row_are_all_stored(api: Api) -> None:
    ids = [
        api.order({"user_id": "many", "number_of_items": number, "total_amount": number})
        for number in range(1, 101)
    ]
    for number, order_id in enumerate(ids, start=1):
        assert api.stored_order(order_id)["number_of_items"] == number


def test_an_order_that_nobody_posted_is_not_found(api: Api) -> None:
    assert_problem(api.get(f"/api/billing/{uuid4()}"), 404)


@pytest.mark.parametrize(
    "text",
    ["abc", "1", "6bdf06e8-473c-4014-a072-44938e87fda", "6bdf06e8-473c-4014-a072-44938e87fdaz", "%00", "%FF"],
)
def test_what_is_no_uuid_is_not_found(api: Api, text: str) -> None:
    assert_problem(api.get(f"/api/billing/{text}"), 404, "UUID")


def test_an_order_is_found_by_its_uuid_in_capitals(api: Api) -> None:
    order_id = api.order({"user_id": "capitals", "film_id": 2})
    assert api.stored_order(order_id.upper())["order_id"] == order_id


def test_the_same_order_is_the_same_at_each_look(api: Api) -> None:
    order_id = api.order({"user_id": "again", "film_id": 2})
    first: dict[str, Any] = api.stored_order(order_id)
    assert api.get(f"/api/billing/{order_id}").json() == first
