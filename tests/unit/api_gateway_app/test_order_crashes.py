"""The store under stress: gateways killed at any moment, a full file, a long backlog."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException

import pytest
from gateway_process import Gateway, StartGateway, Topology
from servers import RabbitMQ, wait_until

from api_gateway_app.orders.store import FILE_NAME

ROUNDS = 10
SEED = 20261124


class Load:
    """Orders without a pause, from eight clients, until it is told to stop; `accepted` got their 200."""

    def __init__(self, gateway: Gateway) -> None:
        self.accepted: list[str] = []
        self._gateway = gateway
        self._stopping = False
        self._pool = ThreadPoolExecutor(8)
        self._clients = [self._pool.submit(self._post) for _ in range(8)]

    def _post(self) -> None:
        while not self._stopping:
            try:
                answer = self._gateway.post_order()
            except (OSError, HTTPException):
                # Killed: until it is back there is nobody who could accept anything.
                time.sleep(0.01)
                continue
            assert answer.status in {200, 502, 503}, answer.body
            if answer.status == 200:
                self.accepted.append(answer.json()["order_id"])

    def stop(self) -> None:
        """End the clients; raises what one of them did not expect."""
        self._stopping = True
        for client in self._clients:
            client.result()
        self._pool.shutdown()


@pytest.mark.timeout(300)
def test_a_gateway_that_is_killed_again_and_again_loses_no_order_that_it_accepted(
    start_gateway: StartGateway, topology: Topology, rabbitmq: RabbitMQ
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - moments to kill at, no secrets
    gateway = start_gateway()
    load = Load(gateway)
    try:
        for round_ in range(ROUNDS):
            # Confirmed by the broker, kept on disk, and on the way from one to the other: each in its turn.
            rabbitmq.pause() if round_ % 3 == 1 else rabbitmq.resume()
            goal = len(load.accepted) + chance.randrange(20, 150)
            wait_until(lambda goal=goal: len(load.accepted) >= goal, "orders are accepted", 60)  # type: ignore[misc]
            gateway.kill()
            gateway.start()
    finally:
        rabbitmq.resume()
        load.stop()
    wait_until(lambda: gateway.health()["dependencies"]["order-store"].get("depth") == 0, "all went", 60)
    arrived = Counter(topology.order_ids())
    assert len(load.accepted) >= ROUNDS * 20
    assert set(load.accepted) - set(arrived) == set()


def test_an_order_with_a_key_is_accepted_by_a_full_store_as_long_as_the_broker_takes_it(
    start_gateway: StartGateway, topology: Topology, rabbitmq: RabbitMQ
) -> None:
    gateway = start_gateway(ORDERS_MAXIMUM_BYTES=str(400_000), WORKERS="1", CANDIDATE="true")
    wait_until(lambda: gateway.health()["dependencies"]["rabbitmq"]["status"] == "up", "the broker is up")
    rabbitmq.pause()
    # A candidate hands nothing over: its store stays as full as it gets.
    wait_until(lambda: gateway.post_order().status == 503, "the store is full", 60)
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
    start_gateway: StartGateway, topology: Topology
) -> None:
    gateway = start_gateway()
    gateway.wait_for_broker()
    backlog = [str(number) for number in range(5000)]
    with closing(sqlite3.connect(gateway.orders_directory / FILE_NAME, timeout=30)) as connection, connection:
        connection.executemany(
            "INSERT INTO orders (order_id, body, request_id, stored_at) VALUES (?, ?, '', 0)",
            [(order_id, f'{{"order_id": "{order_id}"}}') for order_id in backlog],
        )
    load = Load(gateway)
    try:
        wait_until(lambda: gateway.metric("orders_forwarded_total") >= len(backlog), "the backlog went", 60)
    finally:
        load.stop()
    assert gateway.metric("orders_stored_total") == 0
    arrived = topology.order_ids()
    assert [each for each in arrived if each.isdecimal()] == backlog
    between = arrived[arrived.index(backlog[0]) : arrived.index(backlog[-1])]
    assert set(between) & set(load.accepted)
