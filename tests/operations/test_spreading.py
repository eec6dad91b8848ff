"""The gateway and the replicas of an app: who gets requests, and that none is lost when they come and go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.api import Api
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.operations.traffic import READS, Traffic
from tests.settings import PATIENCE
from tests.support import wait_until

pytestmark = pytest.mark.timeout(3600)

SERVICES = ["inventory-app", "billing-app"]
AT_LEAST = 10_000
WORKERS = 2


def metrics(node: Node, name: str, service: str, outcome: str = "") -> dict[str, int]:
    """The samples of one of the gateway's metrics by the address of a replica."""
    text = node.run("docker exec api-gateway-app python -m platform_common.show_metrics upstream_")
    found = re.finditer(
        rf'^{name}{{address="([0-9.]+)",{f"outcome=.{outcome}.," if outcome else ""}'
        rf'upstream="{service}"}} ([0-9.]+)$',
        text,
        re.MULTILINE,
    )
    return {match[1]: int(float(match[2])) for match in found}


def in_rotation(node: Node, service: str) -> set[str]:
    """The addresses that every worker of the gateway sends requests to."""
    counts = metrics(node, "upstream_address_in_rotation", service)
    return {address for address, workers in counts.items() if workers == WORKERS}


def addresses(node: Node, *names: str) -> set[str]:
    return {
        container["NetworkSettings"]["Networks"]["play_with_containers_network"]["IPAddress"]
        for container in node.inspect(*names).values()
    }


def names_of(service: str, replicas: int) -> list[str]:
    return [service, *(f"{service}-{number}" for number in range(2, replicas + 1))]


def wait_for_rotation(node: Node, service: str, replicas: int) -> None:
    wanted = addresses(node, *names_of(service, replicas))
    wait_until(
        lambda: in_rotation(node, service) == wanted,
        f"{service} has {replicas} replicas in rotation",
        seconds=60,
    )


@contextmanager
def scaled(operator: Operator, node: Node, service: str, replicas: int) -> Iterator[None]:
    """Run a block with so many replicas, all of them in rotation."""
    try:
        operator.run("ansible/scale.yml", operate_service=service, operate_replicas=str(replicas))
        wait_for_rotation(node, service, replicas)
        yield
    finally:
        operator.run("ansible/scale.yml", operate_service=service, operate_replicas="1")


def assert_nothing_failed(traffic: Traffic) -> None:
    wait_until(lambda: traffic.total >= AT_LEAST, f"{AT_LEAST} requests were made", seconds=600 * PATIENCE)
    assert traffic.failed == {}
    assert traffic.wrong == []
    print(f"{traffic.total} requests, none failed: {dict(traffic.outcomes)}")


def assert_nothing_left(traffic: Traffic) -> None:
    assert traffic.left_over() == [], "a movie was made twice, or a deletion was lost"


@pytest.mark.parametrize("service", SERVICES)
def test_requests_go_to_all_replicas_alike(operator: Operator, node: Node, api: Api, service: str) -> None:
    order_id = api.order({"user_id": "spread", "number_of_items": 1, "total_amount": "1"})
    api.stored_order(order_id)
    path = "/api/movies?limit=1" if service == "inventory-app" else f"/api/billing/{order_id}"
    with scaled(operator, node, service, 3):
        before = metrics(node, "upstream_address_requests_total", service, "answered")
        for _ in range(600):
            assert api.get(path).status_code == 200
        after = metrics(node, "upstream_address_requests_total", service, "answered")
        shares = {
            address: after[address] - before[address] for address in addresses(node, *names_of(service, 3))
        }
        assert sum(shares.values()) >= 600
        assert min(shares.values()) > 150, shares


@pytest.mark.parametrize("service", SERVICES)
def test_scaling_up_and_down_fails_no_request(operator: Operator, node: Node, api: Api, service: str) -> None:
    with Traffic(api) as traffic:
        with scaled(operator, node, service, 3):
            at_three = metrics(node, "upstream_address_requests_total", service, "answered")
            wait_until(
                lambda: all(
                    count > at_three[address] + 100
                    for address, count in metrics(
                        node, "upstream_address_requests_total", service, "answered"
                    ).items()
                    if address in in_rotation(node, service)
                ),
                "all three are at work",
                seconds=120,
            )
        assert_nothing_failed(traffic)
    assert_nothing_left(traffic)


@pytest.mark.parametrize("service", SERVICES)
def test_a_rolling_update_fails_no_request(
    operator: Operator, node: Node, api: Api, sources: Path, service: str
) -> None:
    package = service.replace("-", "_")
    with (sources / service / package / "wsgi.py").open("a") as stream:
        stream.write("# another version\n")
    with scaled(operator, node, service, 3):
        before = {name: container["Id"] for name, container in node.inspect(*names_of(service, 3)).items()}
        with Traffic(api) as traffic:
            operator.run("site.yml", container_build_root=str(sources), operate_service=service)
            assert_nothing_failed(traffic)
        assert_nothing_left(traffic)
        after = {name: container["Id"] for name, container in node.inspect(*names_of(service, 3)).items()}
        assert not set(before.values()) & set(after.values()), "all of them were replaced"
    operator.run("site.yml", operate_service=service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_replica_that_is_killed_fails_no_read_and_comes_back(
    operator: Operator, node: Node, api: Api, service: str
) -> None:
    victim = f"{service}-2"

    def started() -> str:
        return str(node.inspect(victim)[victim]["State"]["StartedAt"])

    with scaled(operator, node, service, 3):
        with Traffic(api) as traffic:
            for _ in range(3):
                before = started()
                node.run(f"kill -KILL {node.inspect(victim)[victim]['State']['Pid']}")
                wait_until(lambda before=before: started() != before, f"{victim} is back", seconds=60)  # type: ignore[misc]
                wait_for_rotation(node, service, 3)
            wait_until(lambda: traffic.total >= AT_LEAST, f"{AT_LEAST} requests", seconds=600 * PATIENCE)
        assert traffic.failed_of(READS) == {}
        assert traffic.wrong == []
        print(f"{traffic.total} requests, of which failed: {traffic.failed}")
    for order_id in traffic.orders[-50:]:
        api.stored_order(order_id, seconds=120)


def test_a_replica_that_hangs_fails_no_read_and_gets_requests_again(
    operator: Operator, node: Node, api: Api
) -> None:
    service, victim = "inventory-app", "inventory-app-2"
    with scaled(operator, node, service, 3):
        (address,) = addresses(node, victim)
        with Traffic(api) as traffic:
            node.run(f"docker pause {victim}")
            try:
                wait_until(
                    lambda: metrics(node, "upstream_address_in_rotation", service)[address] == 0,
                    f"{victim} is out of rotation",
                    seconds=60,
                )
                at_pause = traffic.total
                wait_until(lambda: traffic.total > at_pause + 1000, "the others serve", seconds=120)
            finally:
                node.run(f"docker unpause {victim}")
            wait_for_rotation(node, service, 3)
        assert traffic.failed_of(READS) == {}
        assert traffic.wrong == []
        print(f"{traffic.total} requests, of which failed: {traffic.failed}")
