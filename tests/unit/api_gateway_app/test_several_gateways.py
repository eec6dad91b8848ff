"""One idempotency key at two gateways, which share billing-app and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from tests.library.apps import Broker, Database, stored_orders
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway
from tests.library.page_platform import App
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

ORDER = {"user_id": "20", "number_of_items": 1, "total_amount": "10"}
ANOTHER_ORDER = {**ORDER, "number_of_items": 2}
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
    directory = tmp_path_factory.mktemp("billing")
    secrets = directory / "secrets"
    secrets.mkdir()
    password = (Path(orders_database.app["SECRETS_DIRECTORY"]) / "database_password").read_text()
    (secrets / "database_password").write_text(password)
    (secrets / "rabbitmq_password").write_text(broker_server.passwords["billing-app"])
    billing = App(
        "billing_app",
        directory / "app",
        {**orders_database.app, **broker_server.variables, "SECRETS_DIRECTORY": str(secrets)},
    )
    billing.start()
    address = f"http://127.0.0.1:{billing.port}"
    first, second = (
        start_gateway(tmp_path_factory.mktemp("gateway"), broker_server.server, address) for _ in range(2)
    )
    yield Two((first, second), billing)
    first.kill()
    second.kill()
    billing.stop()


@pytest.fixture
def two(both: Two, orders_database: Database) -> Two:
    """No order yet."""
    orders_database.execute("TRUNCATE orders")
    both.wait_for_billing("up")
    return both


def test_the_same_order_is_one_and_another_is_refused_at_each_gateway(
    two: Two, orders_database: Database
) -> None:
    first, second = two.gateways
    key = str(uuid4())
    accepted = [gateway.post_order(ORDER, key) for gateway in (first, second, first)]
    assert [answer.status for answer in accepted] == [200] * 3
    assert len({answer.json()["order_id"] for answer in accepted}) == 1
    for gateway in (second, first):
        refused = gateway.post_order(ANOTHER_ORDER, key)
        assert refused.status == 422
        assert "came with another order before" in refused.json()["detail"]
    assert second.post_order({**ORDER, "user_id": "21"}, key).status == 200
    wait_until(lambda: stored_orders(orders_database) == 2, "both users' orders are stored")


def test_one_of_two_orders_at_the_same_moment_is_refused(two: Two, orders_database: Database) -> None:
    def place(gateway: Gateway, order: dict[str, object], key: str) -> int:
        return gateway.post_order(order, key).status

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            key = f"moment {number} {uuid4()}"
            answers = pool.map(place, two.gateways, (ORDER, ANOTHER_ORDER), (key, key))
            assert sorted(answers) == [200, 422]
    wait_until(lambda: stored_orders(orders_database) == 20, "one of each pair is stored")


def test_an_order_that_was_refused_may_come_under_a_new_key(two: Two) -> None:
    first, second = two.gateways
    key = str(uuid4())
    first.post_order(ORDER, key)
    assert second.post_order(ANOTHER_ORDER, key).status == 422
    assert second.post_order(ANOTHER_ORDER, str(uuid4())).status == 200
    assert second.post_order(ORDER, key).status == 200


def test_orders_are_accepted_while_billing_app_is_away_and_each_gateway_compares_alone(
    two: Two, orders_database: Database
) -> None:
    first, second = two.gateways
    key, other = str(uuid4()), str(uuid4())
    first.post_order(ORDER, key)
    two.billing.stop()
    try:
        two.wait_for_billing("down")
        before = first.metric(ALONE)
        same = [gateway.post_order(ORDER, other) for gateway in two.gateways]
        assert [answer.status for answer in same] == [200, 200]
        assert len({answer.json()["order_id"] for answer in same}) == 1
        # What a gateway has taken itself, it knows.
        assert first.post_order(ANOTHER_ORDER, key).status == 422
        assert first.metric(ALONE) == before + 2
        assert "compared at this gateway alone: billing-app gave status 503" in first.output
    finally:
        two.billing.start()
    two.wait_for_billing("up")
    assert second.post_order(ANOTHER_ORDER, key).status == 422
    wait_until(lambda: stored_orders(orders_database) == 2, "each order is stored once")


def test_a_billing_app_that_hangs_is_not_waited_for_long(
    tmp_path: Path, topology: Broker, upstream: FaultyUpstream
) -> None:
    gateway = start_gateway(tmp_path, topology.server, upstream.url)
    try:
        wait_until(
            lambda: gateway.health()["dependencies"]["billing-app"]["status"] == "up", "billing-app is up"
        )
        upstream.hangs = True
        # A client waits for ten seconds.
        assert gateway.request("POST", "/api/billing", ORDER, {"Idempotency-Key": "k"}, 10).status == 200
        assert "compared at this gateway alone: billing-app gave no answer (timed out)" in gateway.output
    finally:
        gateway.kill()


def test_nobody_outside_can_claim_a_key(two: Two) -> None:
    claim = f"idempotency-keys/{'ab' * 32}/{'ab' * 32}"
    for path in (f"/{claim}", f"/api/billing/../../{claim}", f"/api/billing/%2e%2e%2f{claim}"):
        assert two.gateways[0].request("PUT", path).status == 404
