"""One idempotency key at two gateways, which share billing-app and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from tests.library.apps import Broker, Database
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway
from tests.library.page_platform import App, make_billing_app
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

# An order, and another one of the same user.
Orders = tuple[dict[str, object], dict[str, object]]
ALONE = "idempotency_keys_decided_alone_total"


@dataclass(frozen=True)
class Two:
    """Two gateways and billing-app."""

    gateways: tuple[Gateway, Gateway]
    billing: App

    def wait_for_billing(self, status: str) -> None:
        for gateway in self.gateways:
            wait_until(
                lambda gateway=gateway: gateway.health()["dependencies"]["billing-app"]["status"] == status,  # type: ignore[misc]
                f"billing-app is {status} for both",
            )


def start_gateway(directory: Path, broker: RabbitMQ, billing: str) -> Gateway:
    gateway = Gateway(
        directory,
        broker,
        {"BILLING_SERVICE_URL": billing, "SHARED_IDEMPOTENCY_KEYS": "true", "WORKERS": "1"},
    )
    gateway.start()
    return gateway


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, orders_database: Database, broker_server: Broker
) -> Iterator[Two]:
    broker_server.make_queues()
    billing = make_billing_app(tmp_path_factory.mktemp("billing") / "app", orders_database, broker_server)
    address = f"http://127.0.0.1:{billing.port}"
    with ExitStack() as started:
        started.callback(billing.stop)
        billing.start()
        first, second = (
            start_gateway(tmp_path_factory.mktemp("gateway"), broker_server.server, address) for _ in range(2)
        )
        started.callback(first.kill)
        started.callback(second.kill)
        yield Two((first, second), billing)


@pytest.fixture
def two(both: Two) -> Two:
    both.wait_for_billing("up")
    return both


@pytest.fixture
def orders() -> Orders:
    """Of a user of the test's own: those of the test before may be stored yet."""
    order = {"user_id": str(uuid4()), "number_of_items": 1, "total_amount": "10"}
    return order, {**order, "number_of_items": 2}


def stored(database: Database, order: dict[str, object]) -> int:
    """How many orders of its user are stored."""
    users = database.execute("SELECT user_id FROM orders")
    return users.count((order["user_id"],))


def test_the_same_order_is_one_and_another_is_refused_at_each_gateway(
    two: Two, orders: Orders, orders_database: Database
) -> None:
    first, second = two.gateways
    order, another = orders
    key = str(uuid4())
    accepted = [gateway.post_order(order, key) for gateway in (first, second, first)]
    assert [answer.status for answer in accepted] == [200] * 3
    assert len({answer.json()["order_id"] for answer in accepted}) == 1
    for gateway in (second, first):
        refused = gateway.post_order(another, key)
        assert refused.status == 422
        assert "came with another order before" in refused.json()["detail"]
    other_user = {**order, "user_id": str(uuid4())}
    assert second.post_order(other_user, key).status == 200
    for each in (order, other_user):
        wait_until(lambda each=each: stored(orders_database, each) == 1, "the order is stored")  # type: ignore[misc]


def test_one_of_two_orders_at_the_same_moment_is_refused(
    two: Two, orders: Orders, orders_database: Database
) -> None:
    def place(gateway: Gateway, order: dict[str, object], key: str) -> int:
        return gateway.post_order(order, key).status

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            key = f"moment {number} {uuid4()}"
            answers = pool.map(place, two.gateways, orders, (key, key))
            assert sorted(answers) == [200, 422]
    wait_until(lambda: stored(orders_database, orders[0]) == 20, "one of each pair is stored")


def test_an_order_that_was_refused_may_come_under_a_new_key(two: Two, orders: Orders) -> None:
    first, second = two.gateways
    order, another = orders
    key = str(uuid4())
    first.post_order(order, key)
    assert second.post_order(another, key).status == 422
    assert second.post_order(another, str(uuid4())).status == 200
    assert second.post_order(order, key).status == 200


def test_orders_are_accepted_while_billing_app_is_away_and_each_gateway_compares_alone(
    two: Two, orders: Orders, orders_database: Database
) -> None:
    first, second = two.gateways
    order, another = orders
    key, other = str(uuid4()), str(uuid4())
    first.post_order(order, key)
    two.billing.stop()
    try:
        two.wait_for_billing("down")
        before = first.metric(ALONE)
        same = [gateway.post_order(order, other) for gateway in two.gateways]
        assert [answer.status for answer in same] == [200, 200]
        assert len({answer.json()["order_id"] for answer in same}) == 1
        # What a gateway has taken itself, it knows.
        assert first.post_order(another, key).status == 422
        assert first.metric(ALONE) == before + 1
        assert "compared at this gateway alone: billing-app gave status 503" in first.output
    finally:
        two.billing.start()
    two.wait_for_billing("up")
    assert second.post_order(another, key).status == 422
    wait_until(lambda: stored(orders_database, order) == 2, "each order is stored once")


def test_what_a_gateway_accepted_alone_stays_accepted(two: Two, orders: Orders) -> None:
    first, second = two.gateways
    order, another = orders
    key, other = str(uuid4()), str(uuid4())
    two.billing.stop()
    try:
        two.wait_for_billing("down")
        assert [first.post_order(order, each).status for each in (key, other)] == [200, 200]
    finally:
        two.billing.start()
    two.wait_for_billing("up")
    # A refused order takes no key from an accepted one, nor does an order that another gateway accepts.
    assert first.post_order(another, key).status == 422
    assert second.post_order(order, key).status == 200
    assert second.post_order(another, other).status == 200
    assert [first.post_order(order, each).status for each in (key, other)] == [200, 200]


def test_a_billing_app_that_hangs_is_not_waited_for_long(
    tmp_path: Path, topology: Broker, upstream: FaultyUpstream, orders: Orders
) -> None:
    gateway = start_gateway(tmp_path, topology.server, upstream.url)
    try:
        wait_until(
            lambda: gateway.health()["dependencies"]["billing-app"]["status"] == "up", "billing-app is up"
        )
        upstream.hangs = True
        began = time.monotonic()
        for key in "abcde":
            assert gateway.post_order(orders[0], key).status == 200
        # Without the pause each of them would wait for 3 s.
        assert time.monotonic() - began < 10
        assert "compared at this gateway alone: billing-app gave no answer within 3 s" in gateway.output
    finally:
        gateway.kill()


def test_nobody_outside_can_claim_a_key(two: Two) -> None:
    claim = f"idempotency-keys/{'ab' * 32}/{'ab' * 32}"
    for path in (f"/{claim}", f"/api/billing/../../{claim}", f"/api/billing/%2e%2e%2f{claim}"):
        assert two.gateways[0].request("PUT", path).status == 404
