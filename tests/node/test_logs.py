from __future__ import annotations

import json
import uuid

import pytest
from tests.library.api import Api
from tests.library.support import wait_until
from tests.node.node import Node
from tests.node.platform import APPS


def log_of(node: Node, name: str, lines: int = 2000) -> list[str]:
    return node.packed(f"docker logs --tail {lines} {name} 2>&1").removesuffix("\n").split("\n")


def test_every_line_of_an_app_is_a_json_object(node: Node) -> None:
    for name in APPS:
        lines = log_of(node, name)
        assert lines
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                pytest.fail(f"{name} logged what is no JSON: {line[:2000]}")
            assert {"time", "level", "message", "service"} <= entry.keys(), line
            assert entry["service"] == name


def test_a_request_id_is_in_the_logs_of_all_that_the_request_passed(node: Node, api: Api) -> None:
    request_id = f"test-{uuid.uuid4()}"
    headers = {"X-Request-ID": request_id}
    assert api.get("/api/movies?limit=1", headers=headers).status_code == 200
    assert api.get(f"/api/billing/{uuid.uuid4()}", headers=headers).status_code == 404
    for name in APPS:
        wait_until(
            lambda name=name: [line for line in log_of(node, name) if request_id in line],  # type: ignore[misc]
            f"{name} logs the request id",
        )


def test_an_orders_request_id_reaches_the_log_of_its_consumer(node: Node, api: Api) -> None:
    request_id = f"test-{uuid.uuid4()}"
    response = api.post(
        "/api/billing", {"user_id": "log", "film_id": 1}, headers={"X-Request-ID": request_id}
    )
    api.stored_order(response.json()["order_id"])
    wait_until(
        lambda: [line for line in log_of(node, "billing-app") if request_id in line],
        "billing-app logs the order with its request id",
    )


def test_what_a_client_sends_makes_no_lines_of_its_own(node: Node, api: Api) -> None:
    mark = uuid.uuid4().hex
    ends_of_lines = "%0A%0D%0B%0C%1C%C2%85%E2%80%A8%E2%80%A9"
    assert api.get(f"/{mark}{ends_of_lines}%7B%22level%22%3A%22forged%22%7D").status_code == 404
    lines = wait_until(
        lambda: [line for line in log_of(node, "api-gateway-app") if mark in line],
        "the gateway logs the path",
    )
    assert [json.loads(line)["level"] for line in lines] == ["info"] * len(lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
