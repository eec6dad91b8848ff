from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from faulty_upstream import MEBIBYTE, FaultyUpstream
from gateway_process import Gateway, StartGateway
from servers import RabbitMQ, free_port, wait_until

from platform_common.app import MAXIMUM_BODY_BYTES


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway, shared_upstream: FaultyUpstream) -> Gateway:
    return start_shared_gateway(BILLING_SERVICE_URL=shared_upstream.url, UPSTREAM_READ_SECONDS="2")


def exchange(gateway: Gateway, request: bytes) -> bytes:
    """Send bytes, and return everything that comes back until the gateway closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def echo(gateway: Gateway, method: str, path: str, body: Any = None, **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.request(method, path, body, fields).json()


def names(received: Any) -> set[str]:
    return {name.lower() for name, _ in received["headers"]}


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


@pytest.mark.parametrize(
    "path",
    [
        "/api/movies/../billing",
        "/api/movies/%2e%2e/billing",
        "/api/movies/%2E./health/ready",
        "/api/movies/..%2fbilling",
        "/api/movies/./1",
        "/api/movies/1/..",
        "/api//movies",
        "/api/movies%00",
        "/api/moviesx",
        "/health/../api/billing/x",
    ],
)
def test_no_path_leads_the_upstream_to_anything_else(
    gateway: Gateway, shared_upstream: FaultyUpstream, path: str
) -> None:
    shared_upstream.received.clear()
    answer = exchange(gateway, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 404
    assert [request for request in shared_upstream.received if "health" not in request.target] == []


def test_an_absolute_address_is_the_same_path_on_our_upstream(gateway: Gateway) -> None:
    request = b"GET http://x.example/api/movies/1 HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n"
    assert b'"target": "/api/movies/1"' in exchange(gateway, request)


def test_an_address_and_a_host_that_differ_are_refused(gateway: Gateway) -> None:
    request = b"GET http://elsewhere.example/api/movies/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(gateway, request).startswith(b"HTTP/1.1 400 ")


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
    assert [value for name, value in answer.headers if name.lower() == "x-twice"] == ["one", "two"]
    assert answer.header("ETag") == '"abc"'
    assert answer.header("Content-Type") == "text/plain"
    for name in ("Keep-Alive", "Proxy-Authenticate", "Upgrade"):
        assert answer.header(name) is None


def test_a_request_id_goes_all_the_way_and_comes_back(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/api/movies", headers={"X-Request-ID": "mine-1"})
    sent = [value for name, value in answer.json()["headers"] if name.lower() == "x-request-id"]
    assert (sent, answer.header("X-Request-ID")) == (["mine-1"], "mine-1")


def test_a_missing_request_id_is_made(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/api/movies")
    sent = [value for name, value in answer.json()["headers"] if name.lower() == "x-request-id"]
    assert sent == [answer.header("X-Request-ID")]


def test_a_body_passes_unchanged_up_to_the_largest(gateway: Gateway) -> None:
    body = bytes(range(256)) * (MAXIMUM_BODY_BYTES // 256)
    received = echo(gateway, "POST", "/api/movies", body, Content_Type="application/octet-stream")
    assert received["body"].encode("latin-1") == body
    assert ["content-type", "application/octet-stream"] in received["headers"]


def test_a_client_that_waits_for_100_continue_gets_it(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(
            b"POST /api/movies HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"abc")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize("size", [MAXIMUM_BODY_BYTES + 1, 6 * MEBIBYTE])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_and_the_client_sees_it(
    gateway: Gateway, shared_upstream: FaultyUpstream, path: str, size: int, chunked: bool
) -> None:
    shared_upstream.received.clear()
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
        body = b"x" * size
        fields = {"Content-Type": "application/json"}
        connection.request("POST", path, iter([body]) if chunked else body, fields, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 413
        assert json.load(response)["status"] == 413
    assert not [request for request in shared_upstream.received if request.method == "POST"]


def test_head_passes_with_the_length_of_the_body_it_leaves_out(gateway: Gateway) -> None:
    answer = gateway.request("HEAD", "/api/movies/chunked")
    assert (answer.status, answer.body) == (200, b"")


def test_the_upstreams_405_keeps_its_allow(gateway: Gateway) -> None:
    answer = gateway.request("PATCH", "/api/movies/not-allowed")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


def test_an_answer_without_a_body_passes(gateway: Gateway) -> None:
    answer = gateway.request("DELETE", "/api/movies/no-content")
    assert (answer.status, answer.body, answer.header("X-Empty")) == (204, b"", "yes")


def test_a_chunked_answer_arrives_whole(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/api/movies/chunked")
    assert (answer.status, answer.body) == (200, b"abcdefg")


@pytest.mark.parametrize("path", ["large", "large-in-chunks"])
def test_a_large_answer_arrives_whole(gateway: Gateway, path: str) -> None:
    answer = gateway.request("GET", f"/api/movies/{path}")
    assert (answer.status, len(answer.body)) == (200, MEBIBYTE)


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


def test_connections_are_kept_and_used_again(gateway: Gateway, shared_upstream: FaultyUpstream) -> None:
    shared_upstream.received.clear()
    for _ in range(20):
        gateway.request("GET", "/api/movies")
    assert sum(request.number_on_connection == 1 for request in shared_upstream.requests()) <= 5


def test_a_request_that_is_not_idempotent_is_never_sent_twice(
    gateway: Gateway, shared_upstream: FaultyUpstream
) -> None:
    gateway.request("GET", "/api/movies")
    shared_upstream.received.clear()
    answer = gateway.request("POST", "/api/movies/dies-before-answer", {"title": "x"})
    assert answer.status == 502
    assert [request.method for request in shared_upstream.received if "health" not in request.target] == [
        "POST"
    ]


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


def test_slow_readers_of_a_large_answer_hold_neither_the_upstream_nor_all_threads(
    gateway: Gateway, shared_upstream: FaultyUpstream
) -> None:
    shared_upstream.received.clear()
    readers = []
    for _ in range(8):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", gateway.port))
        reader.sendall(b"GET /api/movies/large HTTP/1.1\r\nHost: x\r\n\r\n")
        readers.append(reader)
    wait_until(
        lambda: sum("large" in request.target for request in shared_upstream.received) == 8,
        "all of them have asked",
    )
    began = time.monotonic()
    for _ in range(20):
        assert gateway.request("GET", "/api/movies/1").status == 200
    assert time.monotonic() - began < 2
    for reader in readers:
        reader.close()


def test_an_order_is_asked_of_billing_app(gateway: Gateway) -> None:
    order_id = "6bdf06e8-473c-4014-a072-44938e87fda2"
    assert echo(gateway, "GET", f"/api/billing/{order_id}")["target"] == f"/api/billing/{order_id}"
    assert echo(gateway, "GET", f"/api/billing/{order_id}/")["target"] == f"/api/billing/{order_id}/"


@pytest.mark.parametrize("order_id", ["..", "%2e%2e", "."])
def test_no_order_leads_the_upstream_to_anything_else(
    gateway: Gateway, shared_upstream: FaultyUpstream, order_id: str
) -> None:
    shared_upstream.received.clear()
    answer = exchange(
        gateway, f"GET /api/billing/{order_id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert shared_upstream.requests() == []
