from __future__ import annotations

import pytest
from tests.library.api import Api, assert_problem


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


def test_the_metrics_are_not_on_the_public_port(api: Api) -> None:
    for path in ("/metrics", "/metrics/", "/api/metrics"):
        assert_problem(api.get(path), 404)
    assert "/metrics" not in api.get("/openapi.json").json()["paths"]
