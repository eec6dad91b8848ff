"""From Debian 12 to Debian 13 with the data: the broker there and back and there, the databases, the apps.

The tests run in this order, each on what the one before has left. Debian 13 must be reachable as a mirror.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.management_page import ManagementPage
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.node.platform import NAMES
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

BROKER, DATABASES, SITE = "ansible/upgrade_rabbitmq.yml", "ansible/upgrade_postgres.yml", "site.yml"
QUEUE, DEAD_LETTERS = "billing_queue", "billing_dead_letter"
NEXT: dict[str, Any] = {"base_image_suite": "trixie"}
WAITING = 300
VOLUME = "/var/lib/docker/volumes/rabbitmq/_data"


def version(node: Node) -> str:
    """The version of the broker, such as 3.10.8."""
    return node.run("docker exec rabbitmq rabbitmqctl version").strip()


def image_of(node: Node, name: str) -> str:
    return str(node.inspect(name)[name]["Config"]["Image"])


def on_the_volume(node: Node) -> set[str]:
    """What the broker's volume holds of its data and of an upgrade."""
    return {name for name in node.run(f"ls {VOLUME}").split() if name.startswith(("data", "upgrading"))}


def headers(message: dict[str, Any]) -> dict[str, Any]:
    """What came with a message, without what the broker counts; looking at it counts too."""
    return {
        name: value for name, value in message["properties"]["headers"].items() if name != "x-delivery-count"
    }


def order() -> dict[str, object]:
    return {"user_id": f"trixie {uuid.uuid4()}", "number_of_items": 2, "total_amount": "3.5"}


@contextmanager
def orders_that_wait(node: Node, api: Api) -> Iterator[list[str]]:
    """Orders that are in the queue at the beginning, and are stored once at the end."""
    node.run("docker stop billing-app")
    waiting = [api.order(order()) for _ in range(WAITING)]
    yield waiting
    node.run("docker start billing-app")
    for order_id in waiting:
        api.stored_order(order_id)


def test_debian_13_is_refused_while_there_is_data_of_debian_12(operator: Operator, node: Node) -> None:
    before = {name: node.inspect(name)[name]["Id"] for name in NAMES}
    operator.refused(SITE, "nothing was touched", "make upgrade-postgres", **NEXT)
    operator.refused(
        SITE,
        "rabbitmq holds messages of RabbitMQ 3, and base_image_suite brings 4",
        "make upgrade-rabbitmq",
        operate_service="rabbitmq",
        **NEXT,
    )
    operator.refused(BROKER, "the answer was not yes", **NEXT)
    assert {name: node.inspect(name)[name]["Id"] for name in NAMES} == before
    assert version(node).startswith("3.10.")
    assert on_the_volume(node) == {"data"}
    assert "already" in operator.run(BROKER).text


def test_the_broker_takes_all_messages_along_under_load(
    operator: Operator, node: Node, api: Api, page: ManagementPage
) -> None:
    page.empty(DEAD_LETTERS)
    page.put_in(QUEUE, "no order")
    wait_until(lambda: len(page.look_at(DEAD_LETTERS)) == 1, "it is a dead letter")
    letter = page.look_at(DEAD_LETTERS)[0]
    with Load(api, rate=50) as load:
        with orders_that_wait(node, api) as waiting:
            result = operator.run(BROKER, confirm="yes", **NEXT)
            assert "rabbitmq is of RabbitMQ 4 now, and was of 3." in result.text
            assert version(node).startswith("4.0.")
            assert on_the_volume(node) == {"data-4"}
        for order_id in load.orders:
            api.stored_order(order_id)
    # Reads and orders were answered all the time.
    assert load.failed == {}
    assert len(waiting) == WAITING
    moved = page.look_at(DEAD_LETTERS)
    assert [one["payload"] for one in moved] == ["no order"]
    assert moved[0]["properties"]["message_id"] == letter["properties"]["message_id"]
    assert headers(moved[0]) == headers(letter)
    assert "already" in operator.run(BROKER, **NEXT).text
    assert operator.run(SITE, operate_service="rabbitmq", **NEXT).changes == []


def test_one_can_go_back_and_a_run_that_was_cut_off_is_turned_around(
    operator: Operator, node: Node, api: Api, page: ManagementPage
) -> None:
    newer = image_of(node, "rabbitmq")
    with orders_that_wait(node, api):
        operator.kill_when(
            lambda: "rabbitmq-before" in node.run("docker ps --format '{{.Names}}'").split(),
            BROKER,
            confirm="yes",
        )
        assert image_of(node, "rabbitmq") != newer
        assert "upgrading" in on_the_volume(node)
        operator.refused(
            SITE, "was cut off", "make upgrade-rabbitmq", operate_service="rabbitmq", break_lock="yes"
        )
        # Whoever changes their mind gets what both have.
        turned = operator.run(BROKER, confirm="yes", break_lock="yes", **NEXT)
        assert "rabbitmq is of RabbitMQ 4 now, and was of 3." in turned.text
        assert on_the_volume(node) == {"data-4"}
        operator.run(BROKER, confirm="yes")
        assert version(node).startswith("3.10.")
        assert on_the_volume(node) == {"data"}
    # One that is moved in the middle of a kill may be there twice.
    assert {one["payload"] for one in page.look_at(DEAD_LETTERS)} == {"no order"}


def test_a_new_broker_that_does_not_start_leaves_the_old_one_with_its_messages(
    operator: Operator, node: Node, api: Api, sources: Path
) -> None:
    older = image_of(node, "rabbitmq")
    entrypoint = sources / "rabbitmq" / "entrypoint"
    entrypoint.write_text(entrypoint.read_text().replace("exec rabbitmq-server", "exec false"))
    with orders_that_wait(node, api):
        operator.refused(
            BROKER,
            "failed, and no message was removed",
            confirm="yes",
            container_build_root=str(sources),
            **NEXT,
        )
        assert image_of(node, "rabbitmq") == older
        assert on_the_volume(node) == {"data"}


def test_then_the_databases_and_all_else_are_of_debian_13(
    operator: Operator, node: Node, api: Api, page: ManagementPage
) -> None:
    movie = api.post("/api/movies", {"title": "Kept", "description": "on the way to Debian 13"}).json()
    with Load(api, rate=50) as load:
        operator.run(BROKER, confirm="yes", **NEXT)
        for order_id in load.orders:
            api.stored_order(order_id)
    assert load.failed == {}
    with Load(api, rate=20, reads=False) as orders:
        operator.run(DATABASES, confirm="yes", **NEXT)
    for order_id in orders.orders:
        api.stored_order(order_id)
    assert orders.failed == {}
    operator.run(SITE, **NEXT)
    assert operator.run(SITE, **NEXT).changes == []
    assert api.get(f"/api/movies/{movie['id']}").json() == movie
    for name in NAMES:
        assert node.run(f"docker exec {name} cat /etc/debian_version").startswith("13"), name
    page.empty(DEAD_LETTERS)
    api.stored_order(api.order(order()))
    assert (
        json.loads(operator.run("ansible/status.yml", answer_only=True, operate_format="json").output)[
            "missing"
        ]
        == []
    )
