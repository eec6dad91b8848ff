from __future__ import annotations

import json
import uuid

from tests.api import Api
from tests.management_page import ManagementPage
from tests.node.node import Node
from tests.support import wait_until


def stored(node: Node, env: dict[str, str], user_id: str) -> list[int]:
    """Give the numbers of items of a user's orders, as the table has them."""
    numbers = "coalesce(json_agg(number_of_items ORDER BY number_of_items), '[]')"
    query = f"SELECT {numbers} FROM orders WHERE user_id = '{user_id}'"  # noqa: S608
    answer: list[int] = node.psql("billing-database", env["POSTGRES_USER"], "orders", query)
    return answer


def test_a_message_without_any_id_is_an_order(node: Node, env: dict[str, str], page: ManagementPage) -> None:
    user_id = uuid.uuid4().hex
    page.put_in("billing_queue", json.dumps({"user_id": user_id, "number_of_items": 8, "total_amount": 1}))
    wait_until(lambda: stored(node, env, user_id), "the order is in the table")
    assert set(stored(node, env, user_id)) == {8}


def test_a_message_that_comes_many_times_is_one_order(
    node: Node, env: dict[str, str], api: Api, page: ManagementPage
) -> None:
    user_id, order_id = uuid.uuid4().hex, str(uuid.uuid4())
    body = {"order_id": order_id, "user_id": user_id, "number_of_items": 9, "total_amount": 1}
    for _ in range(5):
        page.put_in("billing_queue", json.dumps(body))
    # The queue keeps the order: what comes after them is stored after them.
    api.stored_order(api.order({"user_id": user_id, "number_of_items": 10, "total_amount": 1}))
    assert stored(node, env, user_id) == [9, 10]


def test_an_order_with_a_key_is_one_row(node: Node, env: dict[str, str], api: Api) -> None:
    user_id = uuid.uuid4().hex
    body = {"user_id": user_id, "number_of_items": 11, "total_amount": 1}
    ids = {api.order(body, "one-key") for _ in range(5)}
    assert len(ids) == 1
    api.stored_order(ids.pop())
    api.stored_order(api.order({"user_id": user_id, "number_of_items": 12, "total_amount": 1}))
    assert stored(node, env, user_id) == [11, 12]
