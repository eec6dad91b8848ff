"""The limit of requests per second and client address."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.servers import RabbitMQ

LIMIT = 10


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway) -> Gateway:
    return start_shared_gateway(RATE_LIMIT=str(LIMIT))


@pytest.fixture(autouse=True)
def forgotten(gateway: Gateway) -> None:
    """Nothing was asked before."""
    gateway.proxy.ask("clear table clients")


def test_who_asks_more_often_is_told_to_wait_and_then_served_again(
    gateway: Gateway, shared_upstream: FaultyUpstream
) -> None:
    before = sum(request.target == "/api/movies" for request in shared_upstream.received)
    answers = [gateway.request("GET", "/api/movies") for _ in range(4 * LIMIT)]
    statuses = [answer.status for answer in answers]
    assert statuses[:LIMIT] == [200] * LIMIT
    assert statuses[-1] == 429
    refused = answers[-1]
    assert refused.header("Retry-After") == "2"
    assert refused.header("Content-Type") == "application/problem+json"
    assert "others may share" in refused.json()["detail"]
    passed_on = sum(request.target == "/api/movies" for request in shared_upstream.received) - before
    assert passed_on == statuses.count(200)
    time.sleep(int(refused.header("Retry-After") or 0))
    assert gateway.request("GET", "/api/movies").status == 200


def test_it_counts_all_routes_but_those_of_health(gateway: Gateway) -> None:
    assert {gateway.request("GET", "/health/live").status for _ in range(4 * LIMIT)} == {200}
    assert gateway.request("GET", "/api/movies").status == 200
    assert gateway.request("GET", "/openapi.json").status == 200
    assert 429 in {gateway.request("GET", "/openapi.json").status for _ in range(4 * LIMIT)}


def test_who_sends_a_large_body_gets_to_see_the_refusal(gateway: Gateway) -> None:
    for _ in range(4 * LIMIT):
        gateway.request("GET", "/api/movies")
    assert gateway.request("POST", "/api/movies", b" " * 120_000).status == 429


def test_other_addresses_are_served_meanwhile(gateway: Gateway) -> None:
    for _ in range(4 * LIMIT):
        gateway.request("GET", "/api/movies")
    assert gateway.request("GET", "/api/movies").status == 429
    with socket.create_connection(("127.0.0.1", gateway.port), 10, ("127.0.0.2", 0)) as connection:
        connection.sendall(b"GET /api/movies HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_there_is_none_by_default(start_gateway: StartGateway, shared_upstream: FaultyUpstream) -> None:
    gateway = start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=shared_upstream.url)
    assert {gateway.request("GET", "/api/movies").status for _ in range(8 * LIMIT)} == {200}


@pytest.mark.parametrize("rate", ["many", "-1", "1.5"])
def test_a_limit_that_is_no_number_stops_the_start(tmp_path: Path, rabbitmq: RabbitMQ, rate: str) -> None:
    with pytest.raises(RuntimeError, match=r"RATE_LIMIT is .*: it must hold a whole number"):
        Gateway(tmp_path, rabbitmq, {"RATE_LIMIT": rate}).start()
