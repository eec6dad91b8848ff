"""Clients that are slow or many, and what they may take."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from faulty_upstream import MEBIBYTE, FaultyUpstream
from gateway_process import Gateway
from servers import RabbitMQ, wait_until

from api_gateway_app.front.application import SHARED_BYTES, WAITING_REQUESTS, Front
from platform_common.app import MAXIMUM_BODY_BYTES

THREADS = 4
HEAD = b"POST /api/movies HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultyUpstream]:
    server = FaultyUpstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, upstream: FaultyUpstream
) -> Iterator[Gateway]:
    variables = {"INVENTORY_SERVICE_URL": upstream.url, "WORKERS": "1", "THREADS": str(THREADS)}
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), rabbitmq, variables)
    gateway.start()
    yield gateway
    gateway.kill()


@pytest.fixture
def connect(gateway: Gateway) -> Iterator[Any]:
    """Opens connections that send something, and closes them at the end."""
    with ExitStack() as stack:

        def connect(request: bytes, receive_buffer: int | None = None) -> socket.socket:
            connection = stack.enter_context(socket.socket())
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(40)
            connection.connect(("127.0.0.1", gateway.port))
            connection.sendall(request)
            return connection

        yield connect


@pytest.mark.parametrize("start", [HEAD % 50, HEAD % 50 + b"{", HEAD % MAXIMUM_BODY_BYTES + b"x" * 100_000])
def test_bodies_that_do_not_come_take_no_thread(gateway: Gateway, connect: Any, start: bytes) -> None:
    for _ in range(5 * THREADS):
        connect(start)
    assert gateway.request("GET", "/api/movies").status == 200


def test_answers_that_nobody_reads_take_no_thread(gateway: Gateway, connect: Any) -> None:
    for _ in range(5 * THREADS):
        connect(b"GET /api/movies/large HTTP/1.1\r\nHost: x\r\n\r\n", 4096)
    assert gateway.request("GET", "/api/movies").status == 200


def test_who_reads_too_slowly_is_cut_off_and_makes_room(gateway: Gateway, connect: Any) -> None:
    def large() -> int:
        return gateway.request("GET", "/api/movies/large").status

    # What the clients of other tests held becomes free.
    wait_until(lambda: large() == 200, "a large answer is possible")
    for _ in range(SHARED_BYTES // MEBIBYTE):
        slow = connect(b"GET /api/movies/large HTTP/1.1\r\nHost: x\r\n\r\n", 4096)
        assert slow.recv(12) == b"HTTP/1.1 200"
    assert large() == 503
    wait_until(lambda: large() == 200, "a large answer is possible again", 60)
    assert "is cut off" in gateway.output


def test_large_bodies_have_their_share_of_the_memory_and_small_ones_pass(
    gateway: Gateway, connect: Any
) -> None:
    connections = [connect(HEAD % MAXIMUM_BODY_BYTES + b"x" * (MAXIMUM_BODY_BYTES - 1)) for _ in range(80)]

    def refused() -> list[bytes]:
        answers = []
        for connection in connections:
            connection.setblocking(False)
            try:
                answers.append(connection.recv(12, socket.MSG_PEEK))
            except BlockingIOError:
                continue
        return answers

    wait_until(lambda: len(refused()) >= 4, "those that do not fit are refused")
    assert set(refused()) == {b"HTTP/1.1 503"}
    assert gateway.request("POST", "/api/movies", b"x" * 4000).status == 200
    for connection in connections:
        connection.close()
    # What they held is free again.
    wait_until(
        lambda: gateway.request("POST", "/api/movies", b"x" * MAXIMUM_BODY_BYTES).status == 200,
        "a large one passes",
    )


@pytest.mark.parametrize(
    "request_text",
    [
        HEAD % 50 + b"{}",
        b"POST /api/movies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"POST /api/movies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ],
)
def test_a_body_that_breaks_off_reaches_nobody(
    connect: Any, upstream: FaultyUpstream, request_text: bytes
) -> None:
    upstream.received.clear()
    connection = connect(request_text)
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert [request for request in upstream.received if request.method == "POST"] == []


def test_a_refusal_has_a_request_id_and_a_line_in_the_access_log(gateway: Gateway, connect: Any) -> None:
    connection = connect(
        b"POST /api/billing HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\nX-Request-ID: refused-1\r\n\r\n"
    )
    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    assert (head[:12], json.loads(body)["request_id"]) == (b"HTTP/1.1 413", "refused-1")
    assert gateway.metric('front_refusals_total{status="413"}') >= 1
    log = gateway.log_directory / "access.log"
    wait_until(lambda: '"refused-1"' in log.read_text(), "it is in the access log")


def test_more_requests_than_can_wait_are_refused() -> None:
    released = threading.Event()

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        released.wait(60)
        start_response("200 OK", [])
        return [b"done"]

    async def ask(front: Front) -> int:
        statuses: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> dict[str, Any]:
            raise AssertionError("there is no body")

        scope = {"headers": [], "raw_path": b"/", "query_string": b"", "method": "GET", "http_version": "1.1"}
        await front(scope | {"server": ("x", 1), "client": ("x", 1), "scheme": "http"}, receive, send)
        return statuses[0]

    async def run() -> tuple[int, list[int]]:
        front = Front(application, threads=1)
        tasks = [asyncio.create_task(ask(front)) for _ in range(WAITING_REQUESTS + 1)]
        await asyncio.sleep(0)
        one_more = await ask(front)
        released.set()
        return one_more, await asyncio.gather(*tasks)

    one_more, statuses = asyncio.run(run())
    assert one_more == 503
    assert set(statuses) == {200}
