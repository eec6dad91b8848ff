"""Stop, start, remove. Last, since nothing is left afterwards."""

from __future__ import annotations

import pytest
from tests.library.api import Api
from tests.node.node import Node
from tests.node.platform import NAMES
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(3600)

ORDER = {"user_id": "kept", "number_of_items": 1, "total_amount": "1"}


def states(node: Node) -> dict[str, str]:
    lines = node.run("docker ps -a --format '{{.Names}} {{.State}}'").splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


def test_one_service_is_stopped_and_started(operator: Operator, node: Node, api: Api) -> None:
    assert (
        "1 container of billing-app is stopped"
        in operator.run("ansible/stop.yml", operate_service="billing-app").text
    )
    assert states(node)["billing-app"] == "exited"
    order_id = api.order(ORDER)
    assert operator.run("ansible/stop.yml", operate_service="billing-app").changes == []
    operator.run("ansible/start.yml", operate_service="billing-app")
    api.stored_order(order_id, seconds=120)
    assert operator.run("ansible/start.yml", operate_service="billing-app").changes == []


def test_all_are_stopped_and_started_in_order(operator: Operator, node: Node, api: Api) -> None:
    operator.run("ansible/stop.yml")
    assert {states(node)[name] for name in NAMES} == {"exited"}
    finished = node.inspect(*NAMES)
    assert (
        finished["api-gateway-app"]["State"]["FinishedAt"]
        < finished["inventory-database"]["State"]["FinishedAt"]
    )
    operator.run("ansible/start.yml")
    started = node.inspect(*NAMES)
    assert all(container["State"]["Health"]["Status"] == "healthy" for container in started.values())
    assert (
        started["inventory-database"]["State"]["StartedAt"] < started["api-gateway-app"]["State"]["StartedAt"]
    )
    assert api.get("/health/ready").json()["status"] == "ready"
    assert operator.run("site.yml").changes == []


def test_the_platform_is_removed_but_not_its_data(operator: Operator, node: Node, api: Api) -> None:
    order_id = api.order(ORDER)
    api.stored_order(order_id, seconds=120)
    result = operator.run("ansible/remove.yml", confirm="yes")
    assert "Its volumes stay, with all data" in result.text
    assert states(node) == {}
    assert set(node.run("docker volume ls -q").split()) >= {"billing-database", "api-gateway-orders"}
    operator.run("site.yml")
    api.stored_order(order_id, seconds=120)


def test_the_platform_is_removed_with_its_data_and_nothing_is_left(operator: Operator, node: Node) -> None:
    result = operator.run("ansible/remove.yml", confirm="yes", operate_volumes="yes")
    assert "Its volumes are removed too" in result.text
    assert "Docker itself and your .env stay" in result.text
    assert states(node) == {}
    assert node.run("docker images --all --quiet").split() == []
    assert node.run("docker volume ls --quiet").split() == []
    assert node.run("docker network ls --format '{{.Name}}'").split() == ["bridge", "host", "none"]
    left = node.run("find /etc /var/lib /run -maxdepth 1 -name 'play-with-containers*'")
    assert left == ""
    assert operator.run("ansible/remove.yml", confirm="yes", operate_volumes="yes").changes == []
    node.run("docker info")
