from __future__ import annotations

from typing import Any

from tests.library.api import Api
from tests.library.support import wait_until

DEPENDENCIES = {"inventory-app", "billing-app", "rabbitmq"}


def test_the_gateway_is_live(api: Api) -> None:
    response = api.get("/health/live")
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == "application/json"


def test_a_platform_where_all_is_up_is_ready(api: Api) -> None:
    def ready() -> dict[str, Any] | None:
        response = api.get("/health/ready")
        answer: dict[str, Any] = response.json()
        return answer if response.status_code == 200 and answer["status"] == "ready" else None

    answer = wait_until(
        ready, "the platform is ready", seconds=60, explain=lambda: api.get("/health/ready").text
    )
    assert answer.keys() == {"status", "dependencies"}
    assert answer["dependencies"].keys() >= DEPENDENCIES
    assert {entry["status"] for entry in answer["dependencies"].values()} == {"up"}
