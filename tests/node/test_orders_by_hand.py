"""Messages by hand, good and bad, and what the table and the dead letters hold afterwards."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.library.api import Api
from tests.library.management_page import ManagementPage
from tests.library.support import wait_until
from tests.node.node import Node

QUEUE, DEAD_LETTERS = "billing_queue", "billing_dead_letter"
START, END = b'{"user_id": "bad", "number_of_items": ', b', "total_amount": 1}'

# Each body, and what the sentence must tell. All that is refused: tests/unit/billing_app/test_judge.py.
BAD: dict[str, tuple[bytes, str]] = {
    "no UTF-8": (b'{"user_id": "\xff"}', "not UTF-8 (byte 13)"),
    "gzip": (gzip.compress(b'{"user_id": "bad"}'), "compressed with gzip. Send plain JSON."),
    "1 MiB": (
        b'{"user_id": "' + b"x" * (1024 * 1024 - 15) + b'"}',
        "1,048,576 bytes long; an order has at most",
    ),
    "nested 10,000 deep": (b"[" * 10_000 + b"]" * 10_000, "nested too deep"),
    "no items": (START + b"0" + END, "number_of_items: must be from 1 to 2147483647."),
    "NUL": (
        b'{"user_id": "a\\u0000", "number_of_items": 1, "total_amount": 1}',
        "user_id: must not contain the NUL character.",
    ),
    "no JSON": (b"not json", "not JSON"),
    "nothing in it": (b"{}", "user_id: is missing"),
    "empty": (b"", "The body is empty."),
}


@pytest.fixture
def no_dead_letters(page: ManagementPage) -> Iterator[None]:
    """None before, and none afterwards: one cannot be picked out of the queue."""
    page.empty(DEAD_LETTERS)
    yield
    page.empty(DEAD_LETTERS)


def body_of(message: dict[str, Any]) -> bytes:
    payload: str = message["payload"]
    return base64.b64decode(payload) if message["payload_encoding"] == "base64" else payload.encode()


@pytest.mark.destructive
@pytest.mark.usefixtures("no_dead_letters")
def test_each_bad_message_is_a_dead_letter_with_a_sentence_and_the_good_around_it_are_stored(
    node: Node, env: dict[str, str], api: Api, page: ManagementPage
) -> None:
    user_id, known = uuid.uuid4().hex, str(uuid.uuid4())

    def good(number: int, order_id: str | None = None) -> str:
        order = {"user_id": user_id, "number_of_items": number, "total_amount": 1}
        return json.dumps(order | {"order_id": order_id or str(uuid.uuid4())})

    page.put_in(QUEUE, good(1, known))
    for number, (body, _) in enumerate(BAD.values(), 2):
        page.put_in(QUEUE, body)
        page.put_in(QUEUE, good(number))
    page.put_in(QUEUE, good(99, known))
    # The queue keeps the order: what comes after them is stored after them.
    api.stored_order(api.order({"user_id": user_id, "number_of_items": 100, "total_amount": 1}))
    assert stored(node, env, user_id) == [*range(1, len(BAD) + 2), 100]

    wait_until(lambda: len(page.look_at(DEAD_LETTERS)) == len(BAD) + 1, "all bad ones are dead letters")
    letters = {body_of(message): message["properties"] for message in page.look_at(DEAD_LETTERS)}
    for name, (body, sentence) in BAD.items():
        headers = letters[body]["headers"]
        assert sentence in headers["reason"], name
        assert headers["reason_code"] == "not_an_order", name
        assert letters[body]["message_id"], name
    conflict = letters[good(99, known).encode()]["headers"]
    assert conflict["reason_code"] == "conflict"
    assert conflict["reason"] == "An order with this order_id and another content is stored already."


def stored(node: Node, env: dict[str, str], user_id: str) -> list[int]:
    """Give the numbers of items of a user's orders, as the table has them."""
    numbers = "coalesce(json_agg(number_of_items ORDER BY number_of_items), '[]')"
    query = f"SELECT {numbers} FROM orders WHERE user_id = '{user_id}'"  # noqa: S608
    answer: list[int] = node.psql("billing-database", env["POSTGRES_USER"], "orders", query)
    return answer


def test_a_message_without_any_id_is_an_order(node: Node, env: dict[str, str], page: ManagementPage) -> None:
    user_id = uuid.uuid4().hex
    page.put_in(QUEUE, json.dumps({"user_id": user_id, "number_of_items": 8, "total_amount": 1}))
    wait_until(lambda: stored(node, env, user_id), "the order is in the table")
    assert set(stored(node, env, user_id)) == {8}


@pytest.mark.parametrize("identified_by", ["order_id", "message_id"])
def test_a_message_that_comes_many_times_is_one_order(
    node: Node, env: dict[str, str], api: Api, page: ManagementPage, identified_by: str
) -> None:
    user_id, order_id = uuid.uuid4().hex, str(uuid.uuid4())
    body = {"user_id": user_id, "number_of_items": "9", "total_amount": 4.35}
    for _ in range(5):
        if identified_by == "order_id":
            page.put_in(QUEUE, json.dumps(body | {"order_id": order_id}))
        else:
            page.put_in(QUEUE, json.dumps(body), message_id=order_id)
    assert api.stored_order(order_id)["total_amount"] == "4.35"
    # The queue keeps the order: what comes after them is stored after them.
    api.stored_order(api.order({"user_id": user_id, "number_of_items": 10, "total_amount": 1}))
    assert stored(node, env, user_id) == [9, 10]


def test_a_film_order_may_come_by_hand(api: Api, page: ManagementPage) -> None:
    order_id = str(uuid.uuid4())
    page.put_in(QUEUE, json.dumps({"order_id": order_id, "film_id": 5, "user_id": "user123"}))
    order = api.stored_order(order_id)
    assert (order["number_of_items"], order["total_amount"], order["film_id"]) == (1, None, 5)


def test_an_order_with_a_key_is_one_row(node: Node, env: dict[str, str], api: Api) -> None:
    user_id = uuid.uuid4().hex
    body = {"user_id": user_id, "number_of_items": 11, "total_amount": 1}
    ids = {api.order(body, "one-key") for _ in range(5)}
    assert len(ids) == 1
    api.stored_order(ids.pop())
    api.stored_order(api.order({"user_id": user_id, "number_of_items": 12, "total_amount": 1}))
    assert stored(node, env, user_id) == [11, 12]
