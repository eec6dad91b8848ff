"""Messages that somebody puts into the queue with the broker's management page."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api import Api
from tests.management_page import ManagementPage
from tests.support import wait_until


@pytest.fixture
def dead_letters(page: ManagementPage) -> Iterator[str]:
    """The queue of dead letters, emptied at the end: a message cannot be picked out of it."""
    yield "billing_dead_letter"
    page.empty("billing_dead_letter")


def test_a_message_with_an_order_id_is_an_order(api: Api, page: ManagementPage) -> None:
    order_id = str(uuid.uuid4())
    body = {"order_id": order_id, "user_id": 7, "number_of_items": "3", "total_amount": 4.35}
    page.put_in("billing_queue", json.dumps(body))
    order = api.stored_order(order_id)
    assert (order["user_id"], order["number_of_items"], order["total_amount"]) == ("7", 3, "4.35")


def test_a_message_with_a_message_id_is_an_order_once(api: Api, page: ManagementPage) -> None:
    message_id = str(uuid.uuid4())
    body = json.dumps({"user_id": "by hand", "number_of_items": 1, "total_amount": "1"})
    page.put_in("billing_queue", body, message_id=message_id)
    first = api.stored_order(message_id)
    page.put_in("billing_queue", body, message_id=message_id)
    last = str(uuid.uuid4())
    page.put_in("billing_queue", body, message_id=last)
    api.stored_order(last)
    assert api.get(f"/api/billing/{message_id}").json() == first


def test_a_film_order_may_come_by_hand(api: Api, page: ManagementPage) -> None:
    order_id = str(uuid.uuid4())
    page.put_in("billing_queue", json.dumps({"order_id": order_id, "film_id": 5, "user_id": "user123"}))
    order = api.stored_order(order_id)
    assert (order["number_of_items"], order["total_amount"], order["film_id"]) == (1, None, 5)


@pytest.mark.destructive
@pytest.mark.parametrize(
    "payload",
    [
        "not json",
        "[]",
        "{}",
        '{"user_id": "1", "number_of_items": 0, "total_amount": 1}',
        '{"user_id": "1", "number_of_items": 1, "total_amount": 1, "order_id": "no uuid"}',
        '{"user_id": "a\\u0000b", "number_of_items": 1, "total_amount": 1}',
    ],
)
def test_what_is_no_order_goes_to_the_dead_letters_with_a_reason_and_blocks_nothing(
    api: Api, page: ManagementPage, dead_letters: str, payload: str
) -> None:
    message_id = str(uuid.uuid4())
    page.put_in("billing_queue", payload, message_id=message_id)
    api.stored_order(api.order({"user_id": "after a bad one", "film_id": 1}))

    def dead_letter() -> dict[str, Any] | None:
        for message in page.look_at(dead_letters):
            if message["properties"].get("message_id") == message_id:
                return message
        return None

    message = wait_until(dead_letter, "the message is among the dead letters")
    assert message["payload"] == payload
    assert message["properties"]["headers"]["reason"]
    assert api.get(f"/api/billing/{message_id}").status_code == 404
