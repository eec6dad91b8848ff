"""The store under stress: gateways killed at any moment, a full file, a long backlog."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from tests.library.api import Api
from tests.library.apps import Broker
from tests.library.gateway import Gateway, StartGateway
from tests.library.loads import Load
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

from api_gateway_app.orders.store import FILE_NAME

ROUNDS = 6
SEED = 20261124


def load_of(gateway: Gateway) -> Load:
    """Orders without a pause, from eight clients."""
    return Load(Api(gateway.url), clients=8, reads=False)


@pytest.mark.timeout(300)
def test_a_gateway_that_is_killed_again_and_again_loses_no_order_that_it_accepted(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - moments to kill at, no secrets
    gateway = start_gateway()
    with load_of(gateway) as load:
        for round_ in range(ROUNDS):
            # Confirmed by the broker, kept on disk, and on the way from one to the other: each in its turn.
            rabbitmq.pause() if round_ % 3 == 1 else rabbitmq.resume()
            goal = len(load.orders) + chance.randrange(20, 150)
            wait_until(lambda goal=goal: len(load.orders) >= goal, "orders are accepted", 60)  # type: ignore[misc]
            gateway.kill()
            gateway.start()
        rabbitmq.resume()
    assert [
        status for status in load.failed if status[-3:].isdigit() and status[-3:] not in {"502", "503"}
    ] == []
    wait_until(lambda: gateway.health()["dependencies"]["order-store"].get("depth") == 0, "all went", 60)
    arrived = Counter(topology.order_ids())
    assert len(load.orders) >= ROUNDS * 20
    assert set(load.orders) - set(arrived) == set()


def test_an_order_with_a_key_is_accepted_by_a_full_store_as_long_as_the_broker_takes_it(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    gateway = start_gateway(ORDERS_MAXIMUM_BYTES=str(400_000), WORKERS="1", CANDIDATE="true")
    wait_until(lambda: gateway.health()["dependencies"]["rabbitmq"]["status"] == "up", "the broker is up")
    rabbitmq.pause()
    # A candidate hands nothing over: its store stays as full as it gets.
    with load_of(gateway) as load:
        wait_until(lambda: "order 503" in load.failed, "the store is full", 60)
    rabbitmq.resume()
    wait_until(lambda: gateway.health()["dependencies"]["rabbitmq"]["status"] == "up", "the broker is up")
    topology.order_ids()
    order = {"user_id": "20", "number_of_items": "1", "total_amount": "1"}
    answer = gateway.post_order(order, "key")
    assert answer.status == 200
    assert gateway.post_order(order, "key").json() == answer.json()
    assert gateway.post_order(order | {"number_of_items": "2"}, "key").status == 422
    assert set(topology.order_ids()) == {answer.json()["order_id"]}


def test_a_backlog_goes_oldest_first_and_new_orders_do_not_wait_for_its_end(
    start_gateway: StartGateway, topology: Broker
) -> None:
    gateway = start_gateway()
    gateway.wait_for_broker()
    backlog = [str(number) for number in range(5000)]
    with closing(sqlite3.connect(gateway.orders_directory / FILE_NAME, timeout=30)) as connection, connection:
        connection.executemany(
            "INSERT INTO orders (order_id, body, request_id, stored_at) VALUES (?, ?, '', 0)",
            [(order_id, f'{{"order_id": "{order_id}"}}') for order_id in backlog],
        )
    with load_of(gateway) as load:
        wait_until(lambda: gateway.metric("orders_forwarded_total") >= len(backlog), "the backlog went", 60)
    assert gateway.metric("orders_stored_total") == 0
    arrived = topology.order_ids()
    assert [each for each in arrived if each.isdecimal()] == backlog
    between = arrived[arrived.index(backlog[0]) : arrived.index(backlog[-1])]
    assert set(between) & set(load.orders)
