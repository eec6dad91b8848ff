from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.library.apps import EXCHANGE, QUEUE, ROUTING_KEY, Broker
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

from api_gateway_app.orders.forwarder import Forwarder
from api_gateway_app.orders.lease import Lease
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.publisher import Publisher, State
from api_gateway_app.orders.store import CLAIMS_AT_ONCE, FILE_NAME, OrderStore

DAY = 24 * 60 * 60.0
StartForwarder = Callable[..., Forwarder]


def message(number: int) -> OrderMessage:
    return OrderMessage(str(number), f'{{"order_id": "{number}"}}'.encode(), "request")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OrderStore]:
    store = OrderStore(tmp_path)
    yield store
    store.close()


@pytest.fixture
def start_forwarder(
    topology: Broker, rabbitmq: RabbitMQ, store: OrderStore, tmp_path: Path
) -> Iterator[StartForwarder]:
    """Start forwarders, each with a connection and a lease of its own, as in another process."""
    publishers, forwarders = [], []

    def start(store: OrderStore = store) -> Forwarder:
        publisher = Publisher(topology.parameters, exchange=EXCHANGE, routing_key=ROUTING_KEY)
        publisher.start()
        publishers.append(publisher)
        wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
        lease = Lease(tmp_path / "forwarder.lock")
        forwarder = Forwarder(store, publisher, lease, key_lifetime_seconds=DAY)
        forwarder.start()
        forwarders.append(forwarder)
        return forwarder

    yield start
    rabbitmq.resume()
    for forwarder in forwarders:
        forwarder.stop()
    for publisher in publishers:
        publisher.stop()


def test_two_forwarders_hand_over_each_order_once(
    store: OrderStore, topology: Broker, start_forwarder: StartForwarder
) -> None:
    start_forwarder()
    start_forwarder()
    for number in range(300):
        store.keep(message(number))
    wait_until(lambda: store.backlog().depth == 0, "the store is empty")
    assert topology.order_ids() == [str(number) for number in range(300)]


def test_another_forwarder_takes_over_when_the_first_one_ends(
    store: OrderStore, topology: Broker, start_forwarder: StartForwarder
) -> None:
    first = start_forwarder()
    store.keep(message(1))
    wait_until(lambda: store.backlog().depth == 0, "the first one works")
    start_forwarder()
    first.stop()
    store.keep(message(2))
    wait_until(lambda: store.backlog().depth == 0, "the second one works")
    assert topology.order_ids() == ["1", "2"]


def test_expired_keys_are_dropped_as_fast_as_they_may_come(
    store: OrderStore, start_forwarder: StartForwarder, tmp_path: Path
) -> None:
    store.claim(b"fresh", b"content", "order", lifetime_seconds=DAY)
    expired = 3 * CLAIMS_AT_ONCE
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.executemany(
            "INSERT INTO idempotency_keys VALUES (?, '', '', 0)", ((str(n).encode(),) for n in range(expired))
        )
    start_forwarder()

    def keys() -> int:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            count: int = connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()[0]
            return count

    wait_until(lambda: keys() == 1, "only the fresh key is left")


def test_orders_that_the_broker_refuses_stay_and_go_once_it_takes_them(
    store: OrderStore, topology: Broker, start_forwarder: StartForwarder
) -> None:
    with topology.channel() as channel:
        channel.queue_unbind(QUEUE, EXCHANGE, ROUTING_KEY)
    store.keep(message(1))
    forwarder = start_forwarder()
    wait_until(lambda: "refused" in forwarder.failure, "the refusal is noticed")
    assert store.backlog().depth == 1
    with topology.channel() as channel:
        channel.queue_bind(QUEUE, EXCHANGE, ROUTING_KEY)
    wait_until(lambda: store.backlog().depth == 0, "the store is empty")
    assert topology.order_ids() == ["1"]


def test_orders_that_cannot_be_removed_are_not_sent_again_and_again(
    store: OrderStore, topology: Broker, start_forwarder: StartForwarder, tmp_path: Path
) -> None:
    impatient = OrderStore(tmp_path, patience_seconds=0.1)
    for number in range(10):
        impatient.keep(message(number))
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        forwarder = start_forwarder(impatient)
        wait_until(lambda: "locked" in forwarder.failure, "the lock is noticed")
        other.execute("ROLLBACK")
    wait_until(lambda: store.backlog().depth == 0, "the store is empty")
    assert topology.order_ids() == [str(number) for number in range(10)]
    impatient.close()
