"""What an order is."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_common.orders import MAXIMUM_AMOUNT, MAXIMUM_ITEMS, Order, order_body, parse_order
from platform_common.problems import Problem
from platform_common.validation import parse_json_object

GOOD: dict[str, Any] = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
USERS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255)
AMOUNTS = st.decimals(0, MAXIMUM_AMOUNT, places=2)


def refusal(**changes: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        parse_order({**GOOD, **changes})
    assert problem.value.status == 400
    return problem.value


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


def test_no_digit_is_lost_on_the_way_through_json() -> None:
    body = b'{"user_id": "u", "number_of_items": 1, "total_amount": 9999999999.99}'
    assert parse_order(parse_json_object(body)).total_amount == Decimal("9999999999.99")
    assert json.loads(order_body(parse_order(parse_json_object(body)), uuid.uuid4()))["total_amount"] == (
        "9999999999.99"
    )


def test_a_film_order_is_one_item_of_unknown_amount() -> None:
    order = parse_order({"film_id": 1, "user_id": "user123"})
    assert order == Order(user_id="user123", number_of_items=1, total_amount=None, film_id=1)


@pytest.mark.parametrize("user", [20, "20"])
def test_a_whole_number_as_user_is_its_text(user: object) -> None:
    assert parse_order({**GOOD, "user_id": user}).user_id == "20"


@pytest.mark.parametrize(
    "spellings",
    [
        [{"number_of_items": value} for value in (99, "99", "99.0", Decimal("9.9e1"), "099")],
        [{"total_amount": value} for value in (250, "250", "250.0", "250.00", Decimal("2.5e2"), "250.000")],
        [{"total_amount": value} for value in (0, "0.00", "-0", Decimal("-0.0"))],
    ],
    ids=["items", "amount", "zero"],
)
def test_other_spellings_of_a_number_are_the_same_order(spellings: list[dict[str, Any]]) -> None:
    assert len({parse_order({**GOOD, **spelling}).canonical_bytes() for spelling in spellings}) == 1


@pytest.mark.parametrize("field", ["user_id", "number_of_items", "total_amount"])
def test_other_content_is_another_body(field: str) -> None:
    assert parse_order(GOOD).canonical_bytes() != parse_order({**GOOD, field: "7"}).canonical_bytes()


WRONG_TEXTS = ["", " 1", "1 ", "x", "1_000", "٣", "0x10", "+1", "NaN", "Infinity", "9" * 1000]
WRONG_NUMBERS: list[object] = [*WRONG_TEXTS, None, True, [], {}, Decimal("1e400"), Decimal("1e999999999")]
WRONG: dict[str, list[object]] = {
    "user_id": ["", "x" * 256, None, True, Decimal("1.5"), [], {}, 10**300, "a\0b", "\ud800"],
    "number_of_items": [*WRONG_NUMBERS, 0, -1, 2**31, "0", "1.5", Decimal("0.5")],
    "total_amount": [*WRONG_NUMBERS, -1, "-0.01", "10000000000", "0.001", Decimal("1e-400")],
    "film_id": [0, -1, 2**63, "x", True, "1.5"],
    "price": [1],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    problem = refusal(**{field: value})
    assert problem.detail.startswith(f"{field}: ")
    assert [error["field"] for error in problem.extensions["errors"]] == [field]


def test_every_wrong_field_is_named_at_once() -> None:
    problem = refusal(user_id="", number_of_items=0, total_amount=-1, price=1)
    fields = [error["field"] for error in problem.extensions["errors"]]
    assert sorted(fields) == ["number_of_items", "price", "total_amount", "user_id"]


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(Problem, match=f"{field}: is missing"):
        parse_order({name: value for name, value in GOOD.items() if name != field})


def test_a_binary_number_is_refused_rather_than_rounded() -> None:
    assert "decimal" in refusal(total_amount=0.1).detail


@pytest.mark.parametrize("field", ["number_of_items", "total_amount", "film_id", "user_id"])
@pytest.mark.parametrize("exponent", ["99999999999999999999", "999999999999999999", "-99999999999999999999"])
def test_a_number_beyond_every_decimal_is_refused_with_the_name_of_its_field(
    field: str, exponent: str
) -> None:
    text = json.dumps({**GOOD, field: 7}).replace(": 7", f": 1e{exponent}")
    with pytest.raises(Problem) as problem:
        parse_order(parse_json_object(text.encode()))
    assert problem.value.status == 400
    assert problem.value.extensions["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("number", "user_id"), [("20.0", "20"), ("2e1", "20"), ("-0.0", "0"), ("1e254", "1" + "0" * 254)]
)
def test_a_user_id_that_is_a_whole_number_is_one_however_it_is_written(number: str, user_id: str) -> None:
    body = f'{{"user_id": {number}, "film_id": 1}}'.encode()
    assert parse_order(parse_json_object(body)).user_id == user_id
