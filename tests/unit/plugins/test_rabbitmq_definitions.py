"""The filters of roles/rabbitmq that describe queues, and what moves messages from one broker to another."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from plugin_loader import load_plugin

definitions = load_plugin("roles/rabbitmq/filter_plugins/rabbitmq_definitions.py")
filters: dict[str, Any] = definitions.FilterModule().filters()


ANSWER: dict[str, Any] = {
    "cluster": {"disk_nodes": ["rabbit@one", "rabbit@two"]},
    "queues_kept": [
        {"name": "orders", "members": ["rabbit@one"]},
        {"name": "dead_letters", "members": ["rabbit@one", "rabbit@two"]},
        {"name": "classic", "members": ""},
    ],
}


def test_a_broker_that_has_joined_lacks_the_queues_of_the_others() -> None:
    differences = filters["rabbitmq_cluster_differences"]
    assert differences(ANSWER, "rabbit@one", ["one", "two"]) == []
    assert differences(ANSWER, "rabbit@two", ["one", "two", "three"]) == ["queues: orders is not kept here"]


def test_a_broker_that_is_not_described_is_named() -> None:
    assert filters["rabbitmq_nodes_undescribed"](ANSWER, ["one", "three"]) == ["rabbit@two"]
    assert filters["rabbitmq_cluster_differences"](ANSWER, "rabbit@one", ["one"]) == [
        "rabbit@two is not described"
    ]


def test_only_brokers_that_answer_and_know_another_one_can_forget_it() -> None:
    def machine(name: str, containers: dict[str, Any]) -> dict[str, Any]:
        return {"inventory_hostname": name, "container_survey": {"containers": containers}}

    machines = [
        machine("without", {}),
        machine("silent", {"rabbitmq": {"answer": None}}),
        machine("alone", {"rabbitmq": {"answer": {}}}),
        machine("knows", {"rabbitmq": {"answer": ANSWER}}),
    ]
    acquainted = filters["rabbitmq_acquainted"]
    assert acquainted(machines, "rabbitmq", "rabbit@two") == ["knows"]
    assert acquainted(machines, "rabbitmq", "rabbit@three") == []


@pytest.mark.parametrize(("major", "limit"), [(3, {}), (4, {"x-delivery-limit": -1})])
def test_a_quorum_queue_delivers_without_end_whatever_the_version(major: int, limit: dict[str, int]) -> None:
    entry: dict[str, Any] = {
        "name": "orders",
        "arguments": {"x-queue-type": "quorum", "x-overflow": "reject-publish"},
    }
    queue = filters["rabbitmq_queue"](entry, major)
    assert queue["arguments"] == {**entry["arguments"], **limit}
    assert (queue["vhost"], queue["durable"], queue["auto_delete"]) == ("/", True, False)
    assert entry["arguments"].keys() == {"x-queue-type", "x-overflow"}, "the description itself stays"


def test_another_queue_takes_no_limit() -> None:
    assert filters["rabbitmq_queue"]({"name": "classic", "arguments": {}}, 4)["arguments"] == {}


@pytest.mark.parametrize("password", ["simple", "a/b:c@d?e#f%20 ü", "+&=", "'\""])
def test_each_queue_is_moved_through_the_exchange_that_feeds_it(password: str) -> None:
    bindings = [
        {"vhost": "/", "source": "orders_exchange", "destination": "orders", "routing_key": "order"},
        {"vhost": "/", "source": "dead", "destination": "dead_letters", "routing_key": ""},
    ]
    account = {"user": "admin@home", "password": password}
    moved = filters["rabbitmq_shovels"]({"bindings": bindings}, account, "rabbitmq")["parameters"]
    assert [(one["name"], one["value"]["src-queue"]) for one in moved] == [
        ("orders",) * 2,
        ("dead_letters",) * 2,
    ]
    for shovel, binding in zip(moved, bindings, strict=True):
        value = shovel["value"]
        assert value["dest-exchange"] == binding["source"]
        assert value["dest-exchange-key"] == binding["routing_key"]
        assert value["ack-mode"] == "on-confirm"
        address = urlsplit(value["dest-uri"])
        assert (address.scheme, address.hostname, address.path) == ("amqp", "rabbitmq", "")
        assert unquote(address.username or "") == account["user"]
        assert unquote(address.password or "") == password


MARK = {"major": 3, "image": "rabbitmq:three"}


@pytest.mark.parametrize(
    ("majors", "mark", "major", "image", "expected"),
    [
        pytest.param([], {}, 4, "", {}, id="nothing is there"),
        pytest.param([3], {}, 3, "rabbitmq:three", {}, id="as described"),
        pytest.param([3], {}, 4, "rabbitmq:three", MARK, id="another version is described"),
        pytest.param([3], {}, 4, "", {"major": 3, "image": ""}, id="and there is no container"),
        pytest.param([3], MARK, 4, "rabbitmq:three", MARK, id="cut off before the switch"),
        pytest.param([3, 4], MARK, 4, "rabbitmq:four", MARK, id="cut off after the switch"),
        pytest.param([3], MARK, 3, "rabbitmq:three", {}, id="turned around before the switch"),
        pytest.param(
            [3, 4],
            MARK,
            3,
            "rabbitmq:four",
            {"major": 4, "image": "rabbitmq:four"},
            id="turned around after the switch",
        ),
        pytest.param(
            [3, 4],
            MARK,
            3,
            "rabbitmq:three",
            {"major": 4, "image": ""},
            id="put back, and the new one may have accepted orders",
        ),
    ],
)
def test_what_has_messages_for_another_version_is_known_also_after_an_interruption(
    majors: list[int], mark: dict[str, Any], major: int, image: str, expected: dict[str, Any]
) -> None:
    assert filters["rabbitmq_before"]({"majors": majors, "mark": mark}, major, image) == expected
