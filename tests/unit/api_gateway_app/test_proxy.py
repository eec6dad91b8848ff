from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.library.faulty_upstream import MEBIBYTE, FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.servers import RabbitMQ, free_port
from tests.library.support import wait_until

from platform_common.app import MAXIMUM_BODY_BYTES


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway, shared_upstream: FaultyUpstream) -> Gateway:
    return start_shared_gateway(BILLING_SERVICE_URL=shared_upstream.url, UPSTREAM_READ_SECONDS="2")


def echo(gateway: Gateway, method: str, path: str, body: Any = None, **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.request(method, path, body, fields).json()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_passes(gateway: Gateway, method: str) -> None:
    assert echo(gateway, method, "/api/movies/1")["method"] == method


@pytest.mark.parametrize(
    "target",
    [
        "/api/movies",
        "/api/movies/",
        "/api/movies/17",
        "/api/movies/17/",
        "/api/movies?title=a%20b&limit=10&after=%31",
        "/api/movies?title=%C3%A9%26&x=+%2B",
        "/api/movies/a%20b",
        "/api/movies/%C3%A9",
        "/api/movies/a;b=c,d@e",
    ],
)
def test_path_and_query_pass_as_they_came(gateway: Gateway, target: str) -> None:
    assert echo(gateway, "GET", target)["target"] == target


def test_end_to_end_headers_pass_and_hop_by_hop_headers_stop(gateway: Gateway) -> None:
    received = echo(
        gateway,
        "GET",
        "/api/movies",
        Accept="application/json",
        X_Custom="kept",
        Authorization="Bearer token",
        If_None_Match='"abc"',
        Connection="keep-alive",
        Keep_Alive="timeout=5",
        TE="trailers",
        Upgrade="h2c",
        Proxy_Authorization="Basic eDp5",
    )
    headers = {name.lower(): value for name, value in received["headers"]}
    assert headers["accept"] == "application/json"
    assert headers["x-custom"] == "kept"
    assert headers["authorization"] == "Bearer token"
    assert headers["if-none-match"] == '"abc"'
    assert not {"connection", "keep-alive", "te", "upgrade", "proxy-authorization"} & set(headers)


def test_the_answers_status_body_and_end_to_end_headers_pass(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/api/movies/special-headers")
    assert (answer.status, answer.body) == (418, b"ok")
    assert answer.headers.get_all("X-Twice") == ["one", "two"]
    assert answer.header("ETag") == '"abc"'
    assert answer.header("Content-Type") == "text/plain"
    for name in ("Keep-Alive", "Proxy-Authenticate", "Upgrade"):
        assert answer.header(name) is None


def test_a_body_passes_unchanged_up_to_the_largest(gateway: Gateway) -> None:
    body = bytes(range(256)) * (MAXIMUM_BODY_BYTES // 256)
    received = echo(gateway, "POST", "/api/movies", body, Content_Type="application/octet-stream")
    assert received["body"].encode("latin-1") == body
    assert ["content-type", "application/octet-stream"] in received["headers"]


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("HEAD", "chunked", 200, b""),
        ("GET", "chunked", 200, b"abcdefg"),
        ("GET", "large", 200, b"x" * MEBIBYTE),
        ("GET", "large-in-chunks", 200, b"y" * MEBIBYTE),
        ("DELETE", "no-content", 204, b""),
        ("PATCH", "not-allowed", 405, b""),
    ],
)
def test_an_answer_arrives_whole(gateway: Gateway, method: str, path: str, status: int, body: bytes) -> None:
    answer = gateway.request(method, f"/api/movies/{path}")
    assert (answer.status, len(answer.body)) == (status, len(body))
    assert answer.body == body
    assert answer.header("X-Empty") == ("yes" if status == 204 else None)
    assert answer.header("Allow") == ("GET, HEAD" if status == 405 else None)


@pytest.mark.parametrize("path", ["dies-before-answer", "dies-in-head", "no-http"])
def test_what_is_no_answer_is_a_502(gateway: Gateway, path: str) -> None:
    answer = gateway.request("GET", f"/api/movies/{path}")
    assert answer.status == 502
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.header("Retry-After") == "2"
    assert "inventory-app" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["dies-in-body", "dies-in-chunks", "resets-in-body", "dies-in-large-body"])
def test_an_answer_that_breaks_off_looks_like_one(gateway: Gateway, path: str) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        gateway.request("GET", f"/api/movies/{path}")


def test_a_silent_upstream_is_a_504_and_takes_nobody_elses_threads(
    gateway: Gateway, shared_upstream: FaultyUpstream
) -> None:
    with ThreadPoolExecutor(40) as pool:
        hanging = [
            pool.submit(gateway.request, "GET", "/api/movies/says-nothing", timeout=30) for _ in range(40)
        ]
        wait_until(
            lambda: sum("says-nothing" in request.target for request in shared_upstream.received) >= 40,
            "all of them wait",
        )
        began = time.monotonic()
        answer = gateway.post_order()
        assert answer.status == 200
        assert time.monotonic() - began < 5
        statuses = {future.result().status for future in hanging}
    assert statuses == {504}


def test_an_upstream_that_is_down_is_a_503(tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    gateway = Gateway(tmp_path, rabbitmq, {"INVENTORY_SERVICE_URL": f"http://127.0.0.1:{free_port()}"})
    gateway.start()
    began = time.monotonic()
    answer = gateway.request("GET", "/api/movies")
    assert (answer.status, answer.header("Retry-After")) == (503, "2")
    assert "inventory-app cannot be reached" in answer.json()["detail"]
    assert time.monotonic() - began < 3
    gateway.kill()
