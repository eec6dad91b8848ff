"""Clients that are slow or many, and what they may take."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.library.gateway import Gateway, StartGateway
from tests.library.support import wait_until

from platform_common.app import MAXIMUM_BODY_BYTES

THREADS = 4
HEAD = b"POST /api/movies HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway) -> Gateway:
    return start_shared_gateway(THREADS=str(THREADS))


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


def test_answers_that_nobody_reads_take_no_thread(gateway: Gateway, connect: Any) -> None:
    for _ in range(5 * THREADS):
        connect(b"GET /api/movies/large HTTP/1.1\r\nHost: x\r\n\r\n", 4096)
    assert gateway.request("GET", "/api/movies").status == 200


def test_who_sends_or_takes_nothing_for_long_is_cut_off(gateway: Gateway, connect: Any) -> None:
    reader = connect(b"GET /api/movies/large HTTP/1.1\r\nHost: x\r\n\r\n", 4096)
    answer = connect(HEAD % 50 + b"{").recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 408
    log = gateway.log_directory / "access.log"
    # The proxy gives up the client: "c", in the data: "D".
    wait_until(lambda: '"ended":"cD"' in log.read_text(), "the reader is cut off", 60)
    reader.close()
    assert gateway.request("GET", "/api/movies").status == 200


def test_large_bodies_have_their_share_of_the_memory_and_small_ones_pass(
    gateway: Gateway, connect: Any
) -> None:
    connections = [connect(HEAD % MAXIMUM_BODY_BYTES + b"x" * (MAXIMUM_BODY_BYTES - 1)) for _ in range(270)]

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


def test_a_refusal_has_a_request_id_and_a_line_in_the_access_log(gateway: Gateway, connect: Any) -> None:
    connection = connect(
        b"POST /api/billing HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\nX-Request-ID: refused-1\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    assert (head[:12], json.loads(body)["request_id"]) == (b"HTTP/1.1 413", "refused-1")
    log = gateway.log_directory / "access.log"
    wait_until(lambda: '"refused-1"' in log.read_text(), "it is in the access log")
