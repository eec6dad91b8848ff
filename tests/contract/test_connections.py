from __future__ import annotations

import select
import socket
from contextlib import ExitStack, suppress

import pytest
from tests.library.api import Api
from tests.library.raw import RawConnection

LARGEST = 128 * 1024


@pytest.mark.parametrize("path", ["/health/live", "/api/movies?limit=1", "/api/movies/0", "/nowhere"])
def test_a_connection_is_kept_for_the_next_request(platform_url: str, path: str) -> None:
    with RawConnection(platform_url) as connection:
        for _ in range(3):
            connection.send(f"GET {path} HTTP/1.1")
            answer = connection.answer()
            assert answer is not None


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize("sent", [2, LARGEST + 1], ids=["announced", "sent"])
def test_an_answer_that_ends_the_connection_says_so(platform_url: str, path: str, sent: int) -> None:
    # RFC 9112, 9.6: otherwise the client sends its next request into a connection that is gone. Several
    # times, as it depends on what the server has read when it answers.
    with ExitStack() as stack:
        stay = []
        for _ in range(5):
            connection = stack.enter_context(RawConnection(platform_url))
            with suppress(ConnectionError):
                connection.send(
                    f"POST {path} HTTP/1.1",
                    "Content-Type: application/json",
                    f"Content-Length: {LARGEST + 1}",
                    body=b"a" * sent,
                )
            answer = connection.answer("POST")
            assert answer is not None
            assert answer.status == 413
            if answer.headers.get("Connection", "").lower() != "close":
                stay.append(connection.socket)
        closed, _, _ = select.select(stay, [], [], 2 if stay else 0)
        assert closed == []


def test_a_client_of_http_1_0_gets_its_answer_and_the_end(platform_url: str) -> None:
    with RawConnection(platform_url) as connection:
        connection.send("GET /api/movies HTTP/1.0")
        answer = connection.answer()
        assert answer is not None
        assert answer.status == 200
        assert "Transfer-Encoding" not in answer.headers
        assert answer.body.startswith(b'{"movies":')
        assert answer.body.endswith(b"}")
        assert connection.is_closed()


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize("length", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_a_body_that_breaks_off_stores_nothing(api: Api, unique: str, path: str, length: str) -> None:
    body = f'{{"title": "{unique}", "description": ""}}'.encode()
    if "chunked" in length:
        # A whole document, and no last chunk.
        body = b"%x\r\n%b\r\n" % (len(body), body)
    with RawConnection(api.url) as connection:
        connection.send(f"POST {path} HTTP/1.1", "Content-Type: application/json", length, body=body)
        connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.answer("POST")
    assert answer is None or answer.status == 400
    assert api.get("/api/movies", params={"title": unique}).json() == {"movies": []}
