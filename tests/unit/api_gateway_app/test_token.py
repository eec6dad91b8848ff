from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.library.apps import Broker
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.raw import Answer
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

ORDER = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
pytestmark = pytest.mark.usefixtures("topology")

TOKEN = "the-token-of-these-tests"
OTHER_TOKEN = "another-token-of-these-tests"

CHANGES = [
    ("POST", "/api/billing"),
    ("POST", "/api/billing/"),
    ("POST", "/api/movies"),
    ("DELETE", "/api/movies"),
    ("PUT", "/api/movies/1"),
    ("DELETE", "/api/movies/1/"),
    ("PATCH", "/api/movies/1"),
    ("TRACE", "/api/movies"),
    ("post", "/api/movies"),
    ("BREW", "/api/movies"),
]
READS = [
    ("GET", "/api/movies"),
    ("HEAD", "/api/movies"),
    ("OPTIONS", "/api/movies"),
    ("GET", "/api/movies/1"),
    ("OPTIONS", "/api/billing"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/health/live"),
]
NOT_THE_TOKEN = [
    None,
    "",
    "Bearer",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN.upper()}",
    f"Bearer {TOKEN}, Bearer {TOKEN}",
    "Bearer t\u00f6ken",
    f"Basic {TOKEN}",
    TOKEN,
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def is_refused(answer: Answer) -> bool:
    """Say whether it is the 401 of a missing token, in every detail."""
    if answer.status != 401:
        return False
    assert answer.header("WWW-Authenticate") == "Bearer"
    assert answer.header("Content-Type") == "application/problem+json"
    assert "API_TOKEN" in answer.json()["detail"]
    return True


@pytest.fixture(scope="module")
def closed(start_shared_gateway: StartGateway) -> Gateway:
    """The gateway with a token."""
    return start_shared_gateway(f"{TOKEN}\n")


@pytest.fixture(scope="module")
def opened(start_shared_gateway: StartGateway) -> Gateway:
    """The gateway without a token."""
    return start_shared_gateway()


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_with_a_token_whoever_would_change_something_must_have_it(
    closed: Gateway, shared_upstream: FaultyUpstream, method: str, path: str
) -> None:
    before = len(shared_upstream.received)
    assert is_refused(closed.request(method, path, ORDER))
    assert is_refused(closed.request(method, path, ORDER, bearer(OTHER_TOKEN)))
    assert len(shared_upstream.received) == before
    assert closed.request(method, path, ORDER, bearer(TOKEN)).status == 200


@pytest.mark.parametrize(("method", "path"), READS)
def test_with_a_token_reading_stays_open(closed: Gateway, method: str, path: str) -> None:
    assert closed.request(method, path).status == 200
    assert closed.request(method, path, headers=bearer(OTHER_TOKEN)).status == 200


@pytest.mark.parametrize(("method", "path"), [*CHANGES, *READS])
def test_without_a_token_all_stays_open(opened: Gateway, method: str, path: str) -> None:
    body = ORDER if (method, path) in CHANGES else None
    assert opened.request(method, path, body).status == 200
    assert opened.request(method, path, body, bearer(OTHER_TOKEN)).status == 200


@pytest.mark.parametrize("header", NOT_THE_TOKEN)
def test_what_is_not_quite_the_token_is_refused(
    closed: Gateway, topology: Broker, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    refused = {**ORDER, "user_id": "refused"}
    assert is_refused(closed.request("POST", "/api/billing", refused, headers))
    # An order of an earlier test may still be on its way: it was answered once it was stored.
    assert "refused" not in {message.json()["user_id"] for message in topology.take()}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_word_bearer_may_be_written_in_any_case(closed: Gateway, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert closed.request("POST", "/api/billing", ORDER, headers).status == 200


def status_with(gateway: Gateway, token: str) -> int:
    return gateway.request("POST", "/api/billing", ORDER, bearer(token)).status


def test_a_new_token_counts_within_seconds_and_the_old_one_no_more(
    start_shared_gateway: StartGateway,
) -> None:
    gateway = start_shared_gateway(TOKEN)
    replacement = gateway.token_file.with_suffix(".new")
    replacement.write_text(OTHER_TOKEN)
    replacement.replace(gateway.token_file)
    wait_until(lambda: status_with(gateway, OTHER_TOKEN) == 200, "the new token counts", 5)
    assert status_with(gateway, TOKEN) == 401


def test_a_token_that_cannot_be_read_opens_nothing(start_shared_gateway: StartGateway) -> None:
    gateway = start_shared_gateway(TOKEN)
    gateway.token_file.unlink()
    wait_until(lambda: status_with(gateway, TOKEN) == 503, "nothing is let through", 5)
    assert gateway.request("POST", "/api/billing", ORDER).header("Retry-After")
    assert gateway.request("GET", "/api/movies").status == 200
    gateway.token_file.write_text(TOKEN)
    wait_until(lambda: status_with(gateway, TOKEN) == 200, "the token counts again", 5)


@pytest.mark.parametrize("body", [b"{no json", b"[" * 100_000], ids=len)
def test_the_token_is_asked_for_before_the_body_is_looked_at(closed: Gateway, body: bytes) -> None:
    assert is_refused(closed.request("POST", "/api/billing", body, {"Content-Type": "text/plain"}))


def test_whoever_asks_before_it_sends_a_body_gets_one_refusal_after_it(closed: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", closed.port), 10) as connection:
        connection.sendall(
            b"POST /api/movies HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_what_is_no_route_or_takes_no_such_method_says_so_with_and_without_the_token(closed: Gateway) -> None:
    for headers in ({}, bearer(OTHER_TOKEN), bearer(TOKEN)):
        assert closed.request("POST", "/api/nothing", ORDER, headers).status == 404
        refused = closed.request("DELETE", "/api/billing", headers=headers)
        assert refused.status == 405
        assert refused.header("Allow")


def passed_on(answer: Answer) -> list[str]:
    return [value for name, value in answer.json()["headers"] if name.lower() == "authorization"]


def test_no_app_behind_the_gateway_gets_to_know_the_token(closed: Gateway) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert passed_on(closed.request(method, "/api/movies/1", headers=bearer(TOKEN))) == []


def test_without_a_token_the_header_is_passed_on_like_any_other(opened: Gateway) -> None:
    for method in ("GET", "POST"):
        assert passed_on(opened.request(method, "/api/movies/1", headers=bearer("theirs"))) == [
            "Bearer theirs"
        ]


def test_a_token_is_never_logged(closed: Gateway) -> None:
    for token in (TOKEN, OTHER_TOKEN):
        closed.request("POST", "/api/billing", ORDER, bearer(token))
    log = closed.log_directory / "access.log"
    wait_until(lambda: '"status":401' in log.read_text(), "the refusal is in the access log")
    for text in (closed.output, log.read_text()):
        assert TOKEN not in text
        assert OTHER_TOKEN not in text


def test_a_gateway_without_the_file_of_the_token_does_not_start(tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    gateway = Gateway(tmp_path, rabbitmq)
    gateway.token_file.unlink()
    with pytest.raises(RuntimeError, match="api_token cannot be read"):
        gateway.start()
