"""What the platform says and does while parts of it are stopped. To be run after all other tests.

That no order is lost or doubled meanwhile is shown by the fault suite, tests/faults.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.library.api import Api, assert_problem
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.node.platform import NAMES

# Each waits for several conditions, one after the other.
pytestmark = [pytest.mark.recovery, pytest.mark.timeout(600 * PATIENCE)]

# A container is given its start period, and Docker a back-off between two starts.
SECONDS = 120


def healthy(node: Node, *names: str) -> bool:
    containers = node.inspect(*names).values()
    return all(container["State"].get("Health", {}).get("Status") == "healthy" for container in containers)


def is_ready(api: Api) -> bool:
    response = api.get("/health/ready")
    return response.status_code == 200 and response.json()["status"] == "ready"


def wait_until_all_is_well(node: Node, api: Api) -> None:
    wait_until(lambda: healthy(node, *NAMES), "all six are healthy", seconds=SECONDS, interval=0.5)
    wait_until(lambda: is_ready(api), "the platform is ready", seconds=SECONDS, interval=0.5)


@pytest.fixture(autouse=True)
def all_is_well(node: Node, api: Api) -> Iterator[None]:
    """Each test finds a platform that is ready, and leaves one."""
    wait_until_all_is_well(node, api)
    yield
    wait_until_all_is_well(node, api)


@contextmanager
def without(node: Node, *names: str, how: tuple[str, str] = ("stop", "start")) -> Iterator[None]:
    """Stop containers, or pause them, and bring them back at the end."""
    stop, start = how
    node.run(f"docker {stop} {' '.join(names)}")
    try:
        yield
    finally:
        node.run(f"docker {start} {' '.join(names)}")


def crash(node: Node, name: str) -> None:
    """Kill what the container's init process started, as a crash would."""
    pid = node.inspect(name)[name]["State"]["Pid"]
    # The init process's first child is the program.
    node.run(f"kill -KILL $(pgrep -o -P {pid})")


def started_at(node: Node, name: str) -> str:
    return str(node.inspect(name)[name]["State"]["StartedAt"])


def order() -> dict[str, Any]:
    return {"user_id": uuid.uuid4().hex, "number_of_items": 3, "total_amount": "4.35"}


@pytest.mark.parametrize("how", [("stop", "start"), ("pause", "unpause")], ids=" ".join)
def test_orders_are_taken_while_all_behind_the_gateway_is_down_and_stored_afterwards(
    node: Node, api: Api, how: tuple[str, str]
) -> None:
    orders = [order() for _ in range(5)]
    with without(node, "rabbitmq", "billing-app", "billing-database", how=how):
        ids = [api.order(body) for body in orders]
        response = api.get("/health/ready")
        assert response.status_code == 200, "orders can be kept"
    for order_id, body in zip(ids, orders, strict=True):
        stored = api.stored_order(order_id, seconds=SECONDS)
        assert (stored["user_id"], stored["total_amount"]) == (body["user_id"], "4.35")


def test_all_are_killed_at_once_and_come_back(node: Node, api: Api) -> None:
    before = {name: started_at(node, name) for name in NAMES}
    ids = [api.order(order()) for _ in range(20)]
    for name in NAMES:
        crash(node, name)
    for name in NAMES:
        wait_until(
            lambda name=name: started_at(node, name) != before[name],  # type: ignore[misc]
            f"{name} is started again",
            seconds=SECONDS,
        )
    wait_until_all_is_well(node, api)
    for order_id in ids:
        api.stored_order(order_id, seconds=SECONDS)


@pytest.mark.quick
def test_a_platform_without_its_catalogue_says_so_and_takes_orders(node: Node, api: Api) -> None:
    with without(node, "inventory-app"):
        response = api.get("/api/movies")
        assert response.status_code in {502, 503, 504}
        assert_problem(response, response.status_code)
        api.stored_order(api.order(order()))

        def degraded() -> bool:
            answer = api.get("/health/ready")
            assert answer.status_code == 200
            return bool(answer.json()["status"] == "degraded")

        wait_until(degraded, "the platform says that it is degraded")
        entry = api.get("/health/ready").json()["dependencies"]["inventory-app"]
        assert entry["status"] == "down"


def test_an_app_without_its_database_is_live_and_not_ready_and_does_not_exit(node: Node, api: Api) -> None:
    before = {
        name: node.inspect(name)[name]["State"]["StartedAt"] for name in ("inventory-app", "billing-app")
    }
    with without(node, "inventory-database", "billing-database"):
        response = api.get("/api/movies")
        assert response.status_code in {502, 503, 504}
        assert_problem(response, response.status_code)
        for name in before:
            wait_until(
                unhealthy(node, name), f"{name} says that it is not ready", seconds=SECONDS, interval=0.5
            )
    wait_until(lambda: healthy(node, *before), "both are healthy again", seconds=SECONDS, interval=0.5)
    for name, started in before.items():
        assert started_at(node, name) == started, f"{name} did not exit"


def unhealthy(node: Node, name: str) -> Callable[[], bool]:
    return lambda: node.inspect(name)[name]["State"]["Health"]["Status"] == "unhealthy"


def test_all_stop_when_they_are_asked_to_and_come_back_in_any_order(node: Node, api: Api) -> None:
    movie = api.post("/api/movies", {"title": "kept", "description": "on the volume"}).json()
    with without(node, *NAMES):
        for name, container in node.inspect(*NAMES).items():
            # 137: it was killed after its time to stop was over.
            assert container["State"]["ExitCode"] in {0, 143}, name
            assert not container["State"]["OOMKilled"], name
    wait_until_all_is_well(node, api)
    assert api.get(f"/api/movies/{movie['id']}").json() == movie
    api.delete(f"/api/movies/{movie['id']}")
    recovered = "database system was not properly shut down"
    for name in ("inventory-database", "billing-database"):
        started = started_at(node, name)
        assert recovered not in node.packed(f"docker logs --since {started} {name} 2>&1"), name
