"""Pages of other origins, which a browser lets call the API only where the gateway says so (CORS)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.raw import Answer
from tests.library.servers import RabbitMQ

ORIGINS = ["https://shop.example", "http://localhost:8080"]


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway) -> Gateway:
    return start_shared_gateway("a-token", CORS_ORIGINS=" ".join(ORIGINS))


def ask(gateway: Gateway, method: str, path: str, origin: str, **more: str) -> Answer:
    headers = {"Origin": origin} | {name.replace("_", "-"): value for name, value in more.items()}
    return gateway.request(method, path, headers=headers)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/api/movies", "/openapi.json", "/api/nothing"])
def test_a_page_of_a_named_origin_may_read_every_answer(gateway: Gateway, origin: str, path: str) -> None:
    answer = ask(gateway, "GET", path, origin)
    assert answer.header("Access-Control-Allow-Origin") == origin
    assert "X-Request-ID" in (answer.header("Access-Control-Expose-Headers") or "")
    assert "Origin" in (answer.header("Vary") or "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_browser_that_asks_first_is_told_what_it_may_do(gateway: Gateway, method: str) -> None:
    answer = ask(gateway, "OPTIONS", "/api/movies/1", ORIGINS[0], Access_Control_Request_Method=method)
    assert answer.status == 204
    assert answer.header("Access-Control-Allow-Origin") == ORIGINS[0]
    assert method in (answer.header("Access-Control-Allow-Methods") or "")
    assert "Idempotency-Key" in (answer.header("Access-Control-Allow-Headers") or "")


def test_a_page_may_read_why_it_was_refused(gateway: Gateway) -> None:
    answer = ask(gateway, "POST", "/api/movies", ORIGINS[0])
    assert answer.status == 401
    assert answer.header("Access-Control-Allow-Origin") == ORIGINS[0]


@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "https://shop.example.other.example", "http://shop.example", "null", ""],
)
def test_a_page_of_another_origin_may_not(gateway: Gateway, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = ask(gateway, method, "/api/movies", origin, Access_Control_Request_Method="POST")
        assert answer.header("Access-Control-Allow-Origin") is None
        assert "Origin" in (answer.header("Vary") or "")


def test_no_origin_may_by_default(start_gateway: StartGateway, shared_upstream: FaultyUpstream) -> None:
    gateway = start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=shared_upstream.url)
    answer = ask(gateway, "GET", "/api/movies", ORIGINS[0])
    assert answer.status == 200
    assert answer.header("Access-Control-Allow-Origin") is None
    assert answer.header("Vary") is None


@pytest.mark.parametrize(
    "origins", ["*", "shop.example", "https://shop.example/", "https://a.example,https://b.example"]
)
def test_what_is_no_origin_stops_the_start(tmp_path: Path, rabbitmq: RabbitMQ, origins: str) -> None:
    with pytest.raises(RuntimeError, match=r"CORS_ORIGINS holds .*: it must hold origins such as"):
        Gateway(tmp_path, rabbitmq, {"CORS_ORIGINS": origins}).start()
