from __future__ import annotations

import json

import pytest
from tests.api import Api, assert_problem
from tests.raw import exchange


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api",
        "/api/",
        "/api/nowhere",
        "/api/movie",
        "/api/moviesx",
        "/API/movies",
        "/api/movies/1/2",
        "/api/billing/a/b",
        "/health",
        "/health/",
        "/health/live/x",
        "/favicon.ico",
        "/é",
        "/%00",
        "/%FF",
        "/api/nowhere%2F1",
        "/.env",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_not_found(api: Api, method: str, path: str) -> None:
    assert_problem(api.call(method, path), 404)


def test_an_asset_that_does_not_exist_is_not_found(api: Api) -> None:
    assert_problem(api.get("/docs/nowhere.js"), 404)


@pytest.mark.parametrize(
    "target",
    [
        "/api/movies/../../health/ready",
        "/api/movies/%2e%2e/%2e%2e/health/ready",
        "/api/movies/..%2f..%2fhealth%2fready",
        "/api/movies/..\\..\\health\\ready",
        "/api/movies/.//../../metrics",
        "/api/movies/1/../../../health/ready",
        "/docs/../../../etc/passwd",
        "/docs/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/%2e%2e/%2e%2e/openapi.yaml",
        "//etc/passwd",
        "//health/ready",
        "/api/billing/../billing",
        "http://inventory-app:8080/health/ready",
        "http://billing-app:8080/metrics",
        "*",
    ],
)
def test_no_path_leads_past_the_public_routes(platform_url: str, target: str) -> None:
    answer = exchange(platform_url, f"GET {target} HTTP/1.1", "Connection: close")
    if answer is None:
        return
    assert answer.status < 500
    assert b"root:" not in answer.body
    if answer.status == 200:
        # The gateway's own page, never that of an app behind it.
        assert "rabbitmq" in json.loads(answer.body)["dependencies"]
        assert "inventory-app" in json.loads(answer.body)["dependencies"]
    else:
        assert answer.status in {301, 308, 400, 404, 405}


def test_the_metrics_are_not_on_the_public_port(api: Api) -> None:
    for path in ("/metrics", "/metrics/", "/api/metrics"):
        assert_problem(api.get(path), 404)
    assert "/metrics" not in api.get("/openapi.json").json()["paths"]
