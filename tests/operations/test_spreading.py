"""The gateway and the replicas of an app: who gets requests, and that none is lost when they come and go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.library.api import Api
from tests.library.loads import READS, Traffic
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(3600)

SERVICES = ["inventory-app", "billing-app"]
AT_LEAST = 10_000


@dataclass(frozen=True)
class Replica:
    """A replica, as the gateway sees it."""

    requests: int
    is_up: bool


def replicas(node: Node, service: str) -> dict[str, Replica]:
    """The replicas that the gateway knows, by their addresses."""
    text = node.run("docker exec api-gateway-app python -m api_gateway_app replicas")
    found = re.finditer(rf"^{service} +([0-9.]+) +([0-9]+) requests  (up|down)", text, re.MULTILINE)
    return {match[1]: Replica(int(match[2]), match[3] == "up") for match in found}


def in_rotation(node: Node, service: str) -> set[str]:
    return {address for address, replica in replicas(node, service).items() if replica.is_up}


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
        before = replicas(node, service)
        for _ in range(600):
            assert api.get(path).status_code == 200
        after = replicas(node, service)
        shares = {
            address: after[address].requests - before[address].requests
            for address in addresses(node, *names_of(service, 3))
        }
        assert sum(shares.values()) >= 600
        assert min(shares.values()) > 150, shares


@pytest.mark.parametrize("service", SERVICES)
def test_scaling_up_and_down_fails_no_request(operator: Operator, node: Node, api: Api, service: str) -> None:
    with Traffic(api) as traffic:
        with scaled(operator, node, service, 3):
            at_three = replicas(node, service)
            wait_until(
                lambda: all(
                    replica.requests > at_three[address].requests + 100
                    for address, replica in replicas(node, service).items()
                    if replica.is_up
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
                    lambda: not replicas(node, service)[address].is_up,
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
