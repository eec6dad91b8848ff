"""Requests that two servers could understand differently: refused, or one answer that is beyond doubt."""

from __future__ import annotations

import re
import socket
import uuid
from contextlib import suppress

import pytest
from tests.library.api import Api
from tests.library.raw import RawConnection, exchange

HEAD = "POST /api/movies/0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HIDDEN = "GET /api/movies?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


def answers(url: str, request: str) -> list[int]:
    """Send bytes; return the status of each answer that comes until the gateway closes or falls silent."""
    received = b""
    with RawConnection(url) as connection:
        with suppress(ConnectionError):
            connection.socket.sendall(request.encode("latin-1"))
        connection.socket.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := connection.socket.recv(65536):
                received += part
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def assert_nobody_gets_anothers_answer(api: Api) -> None:
    for number in range(1, 6):
        request_id = str(uuid.uuid4())
        path = f"/api/movies/{10**15 + number}"
        problem = api.get(path, headers={"X-Request-ID": request_id}).json()
        assert (problem["instance"], problem["request_id"]) == (path, request_id)


@pytest.mark.parametrize(
    "request_text",
    [
        HEAD + "Content-Length: 2\r\n" + CHUNKED + "\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "Content-Length: 2\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + f"Content-Length: 2\r\nContent-Length: {2 + len(HIDDEN)}\r\n\r\n{{}}" + HIDDEN,
        HEAD + f"Content-Length: 2, {2 + len(HIDDEN)}\r\n\r\n{{}}" + HIDDEN,
        HEAD + "Content-Length: 2\r\n Transfer-Encoding: chunked\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length : 2\r\n\r\n{}" + HIDDEN,
        HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + "Transfer-Encoding: nonsense\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length: 0x2\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length: -1\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length: +2\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length: abc\r\n\r\n{}" + HIDDEN,
        HEAD + "Content-Length: \r\n\r\n" + HIDDEN,
        HEAD + "Content-Length: 18446744073709551618\r\n\r\n{}" + HIDDEN,
        HEAD + CHUNKED + "\r\n2z\r\n{}\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "\r\n-2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "\r\n0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "\r\n10000000000000002\r\n{}\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + "\r\n2\r\n{}zz0\r\n\r\n" + HIDDEN,
        "GET /api/movies/0 HTTP/1.1\rHost: x\r\n\r\n" + HIDDEN,
    ],
    ids=lambda text: re.sub(r"^.*?json\\r\\n", "", repr(text.removesuffix(HIDDEN)))[:70],
)
def test_a_request_with_an_unclear_end_is_refused_and_what_follows_is_not_read(
    api: Api, request_text: str
) -> None:
    statuses = answers(api.url, request_text)
    assert len(statuses) <= 1
    assert all(400 <= status < 500 for status in statuses)
    assert_nobody_gets_anothers_answer(api)


@pytest.mark.parametrize(
    "request_text",
    [
        HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        # RFC 9112, section 5.2: a proxy may put a space in place of such a fold.
        HEAD + "Content-Length: 2\r\nX-Folded: a\r\n b\r\n\r\n{}",
        HEAD + CHUNKED + "\r\n2;a\n{}\r\n0\r\n\r\n",
        "GET /api/movies/0 HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        HEAD + CHUNKED + "\r\n2;name=value\r\n{}\r\n0\r\n\r\n",
        HEAD + CHUNKED + "\r\n2\r\n{}\r\n0\r\nX-Trailer: 1\r\nContent-Length: 99\r\n\r\n",
        HEAD + CHUNKED + "\r\n0002\r\n{}\r\n000\r\n\r\n",
        HEAD + "Transfer-Encoding: CHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        HEAD.replace("\r\n", "\n") + "Content-Length: 2\n\n{}",
        "GET /api/movies/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET ",
        "GET /api/movies/0 HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    ],
    ids=lambda text: repr(text.removeprefix(HEAD))[:70],
)
def test_an_odd_but_clear_request_ends_where_it_ends(api: Api, request_text: str) -> None:
    number = max(1, request_text.count("GET /api"))
    statuses = answers(api.url, request_text + HIDDEN)
    # Whoever has said that it sends no more may get the first answer only (RFC 9112, section 9.6).
    assert statuses[:number] in ([404] * number, [405] * number, [400], [400, 200], [404])
    assert statuses[number:] in ([200], [])
    assert_nobody_gets_anothers_answer(api)


@pytest.mark.parametrize(
    "target",
    [
        "/api/movies/../billing",
        "/api/movies/%2e%2e/billing",
        "/api/movies/%2E./health/ready",
        "/api/movies/../../health/ready",
        "/api/movies/..%2f..%2fhealth/ready",
        "/api/movies/%252e%252e/billing",
        "/api/movies/..;/billing",
        "/api/movies/..\\billing",
        "/api/movies/%5c..%5cbilling",
        "/api/movies/.//../../metrics",
        "/api/movies/./1",
        "/api/movies/1/..",
        "/api/movies;x=1",
        "/api/movies%00",
        "/api/movies/1%00",
        "/api/billing/..",
        "/api/billing/%2e%2e",
        "/api/billing/../billing",
        "/api//movies",
        "//api/movies",
        "/health/../api/billing/x",
        "/./api/movies",
        "/docs/../api/movies",
        "/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/docs/..%2f..%2f..%2fopenapi.yaml",
        "//etc/passwd",
        "http://elsewhere.example/api/movies",
        "http://inventory-app:8080/health/ready",
        "http://inventory-app:9090/metrics",
        "http://127.0.0.1:9090/metrics",
        "http://billing-app:8080/orders",
        "*",
    ],
)
def test_no_path_leads_anywhere_else(api: Api, target: str) -> None:
    answer = exchange(api.url, f"GET {target} HTTP/1.1", "Connection: close")
    assert answer is None or answer.status in {400, 404}
    assert answer is None or b"root:" not in answer.body
    assert_nobody_gets_anothers_answer(api)


@pytest.mark.parametrize(
    "target", ["/api/%6dovies?limit=1", "/api/movies%2f?limit=1", "{url}/api/movies?limit=1"]
)
def test_another_form_of_an_address_is_the_same_address(api: Api, target: str) -> None:
    answer = exchange(api.url, f"GET {target.format(url=api.url)} HTTP/1.1", "Connection: close")
    assert answer is not None
    assert (answer.status, answer.body[:10]) == (200, b'{"movies":')


def test_nobody_is_connected_to_somewhere_else(api: Api) -> None:
    answer = exchange(api.url, "CONNECT rabbitmq:15672 HTTP/1.1", "Connection: close")
    assert answer is None or answer.status in {400, 404, 405}


@pytest.mark.parametrize(
    "lines",
    [
        ["GET /api/movies HTTP/9.9"],
        ["GET /api/movies"],
        ["GET /api/movies HTTP/1.1", "No colon"],
        ["GET /api/movies HTTP/1.1", "Bad Name: 1"],
        ["GET /" + "a" * 500_000 + " HTTP/1.1"],
        ["GET /api/movies HTTP/1.1", "X-Long: " + "a" * 17_000],
        ["GET /api/movies HTTP/1.1", "X-Long: " + "a" * 600_000],
        ["GET /api/movies HTTP/1.1", "X-" + "a" * 100_000 + ": 1"],
        ["GET /api/movies HTTP/1.1", *(f"X-{number}: 1" for number in range(150))],
        ["GET /api/movies HTTP/1.1", *(f"X-{number}: 1" for number in range(5_000))],
        ["GET /api/movies HTTP/1.1", *(f"X-{number}: " + "a" * 1_000 for number in range(50))],
    ],
    ids=lambda lines: f"{len(lines)} | {lines[-1][:30]}",
)
def test_a_malformed_or_very_large_head_is_refused(api: Api, lines: list[str]) -> None:
    answer = exchange(api.url, *lines)
    if answer is None:
        # The client may lose the answer: the connection is closed while it is still sending.
        assert sum(map(len, lines)) > 40_000
    else:
        assert answer.status in ({400, 431} if "X-" in lines[-1] else {400, 414, 505})
    assert_nobody_gets_anothers_answer(api)


def test_a_body_without_a_length_is_no_body(api: Api) -> None:
    # RFC 9112, section 6.3: a request without both is as long as its head, what follows is another one.
    statuses = answers(api.url, HEAD.replace("movies/0", "billing") + '\r\n{"user_id": "1"}\r\n\r\n')
    assert statuses == [400] * len(statuses)
    assert statuses
