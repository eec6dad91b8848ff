"""Status, logs and history: questions, which change nothing."""

from __future__ import annotations

import json

import pytest
from tests.library.api import Api
from tests.node.node import Node
from tests.node.platform import NAMES
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(600)


@pytest.mark.quick
def test_the_status_as_json_tells_what_runs(operator: Operator, node: Node) -> None:
    document = json.loads(operator.run("ansible/status.yml", answer_only=True, operate_format="json").output)
    containers = {container["name"]: container for container in document["containers"]}
    assert containers.keys() >= set(NAMES)
    inspected = node.inspect(*NAMES)
    for name in NAMES:
        container = containers[name]
        assert container["image"] == inspected[name]["Config"]["Image"]
        assert container["health"] == "healthy"
        assert container["restarts"] == inspected[name]["RestartCount"]
        assert 0 < container["memory"] < container["memory_limit"] == inspected[name]["HostConfig"]["Memory"]
        assert container["image_age"] >= 0
        assert container["base_age"] >= container["image_age"]
    assert containers["inventory-database"]["volumes"]["inventory-database"] > 1_000_000
    assert document["queues"].keys() == {"billing_queue", "billing_dead_letter"}
    assert document["order_store_depth"] == 0
    assert 0 < document["disk"]["free"] < document["disk"]["size"]
    assert document["missing"] == []
    assert document["backups"]["directory"] == "/var/backups/play-with-containers"
    assert document["backups"]["failed"] is False


def test_the_status_for_people_is_a_table_with_a_line_for_each_container(operator: Operator) -> None:
    output = operator.run("ansible/status.yml", answer_only=True).output
    lines = output.splitlines()
    assert lines[0].split()[:2] == ["container", "image"]
    assert {line.split()[0] for line in lines[1:] if " healthy " in line} >= set(NAMES)
    assert "billing_queue: " in output
    assert "disk: " in output
    assert "backups: " in output


def test_the_logs_are_the_services_own_lines(operator: Operator, api: Api) -> None:
    request_id = api.get("/api/movies?limit=1").headers["X-Request-ID"]
    output = operator.run(
        "ansible/logs.yml", answer_only=True, operate_service="inventory-app", operate_tail=200
    ).output
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert lines
    assert any(request_id in json.dumps(line) for line in lines)


def test_the_history_marks_what_runs(operator: Operator, node: Node) -> None:
    output = operator.run("ansible/history.yml", answer_only=True, operate_service="billing-app").output
    current = [line for line in output.splitlines() if line.startswith("* ") and "billing-app:" in line]
    assert len(current) == 1
    assert node.inspect("billing-app")["billing-app"]["Config"]["Image"] in current[0]


@pytest.mark.quick
def test_check_mode_says_what_an_operation_would_do(operator: Operator, node: Node) -> None:
    before = node.run("docker ps --all --quiet")
    result = operator.run("ansible/scale.yml", "--check", operate_service="inventory-app", operate_replicas=2)
    assert "inventory-app would have 2 containers" in result.text
    history = operator.run(
        "ansible/history.yml", "--check", answer_only=True, operate_service="inventory-app"
    ).output
    assert "* inventory-app:" in history
    assert node.run("docker ps --all --quiet") == before
