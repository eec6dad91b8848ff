from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from tests.api import Api
from tests.raw import RawConnection, exchange

HOP_BY_HOP = {"keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"}


@pytest.mark.parametrize("path", ["/health/live", "/api/movies?limit=1", "/api/movies/0", "/nowhere"])
def test_a_connection_is_kept_for_the_next_request(platform_url: str, path: str) -> None:
    with RawConnection(platform_url) as connection:
        for _ in range(3):
            connection.send(f"GET {path} HTTP/1.1")
            answer = connection.answer()
            assert answer is not None


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize("sent", [2, 128 * 1024 + 1], ids=["announced", "sent"])
def test_an_answer_that_ends_the_connection_says_so(platform_url: str, path: str, sent: int) -> None:
    # RFC 9112, 9.6: otherwise the client sends its next request into a connection that is gone. Several
    # times, as it depends on what the server has read when it answers.
    for _ in range(10):
        with RawConnection(platform_url) as connection:
            with suppress(ConnectionError):
                connection.send(
                    f"POST {path} HTTP/1.1",
                    "Content-Type: application/json",
                    f"Content-Length: {128 * 1024 + 1}",
                    body=b"a" * sent,
                )
            answer = connection.answer("POST")
            assert answer is not None
            assert answer.status == 413
            assert answer.headers.get("Connection", "").lower() == "close" or not connection.is_closed()


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


@pytest.mark.parametrize("path", ["/api/movies", "/api/movies?limit=1", "/health/ready"])
def test_hop_by_hop_headers_stop_at_the_gateway(platform_url: str, path: str) -> None:
    answer = exchange(
        platform_url,
        f"GET {path} HTTP/1.1",
        "Connection: close, X-Private",
        "X-Private: 1",
        "Keep-Alive: timeout=1",
        "Proxy-Connection: close",
        "TE: trailers",
    )
    assert answer is not None
    assert answer.status == 200
    assert not HOP_BY_HOP & {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    "lines",
    [
        ["POST /api/billing HTTP/1.1", "Content-Length: 2", "Content-Length: 3"],
        ["POST /api/billing HTTP/1.1", "Content-Length: -1"],
        ["POST /api/billing HTTP/1.1", "Content-Length: +2"],
        ["POST /api/billing HTTP/1.1", "Content-Length: abc"],
        ["POST /api/billing HTTP/1.1", "Transfer-Encoding: nonsense"],
        ["POST /api/movies HTTP/1.1", "Transfer-Encoding: chunked, nonsense"],
        ["GET /api/movies HTTP/9.9"],
        ["GET /api/movies"],
        ["GET /api/movies HTTP/1.1", "No colon"],
        ["GET /api/movies HTTP/1.1", "Bad Name: 1"],
        ["GET /api/movies HTTP/1.1", "X-Long: " + "a" * 600_000],
        ["GET /api/movies HTTP/1.1", *[f"X-{number}: 1" for number in range(5_000)]],
        ["GET /" + "a" * 200_000 + " HTTP/1.1"],
    ],
    ids=lambda lines: " | ".join(lines)[:60],
)
def test_a_malformed_request_is_refused_and_others_are_served(api: Api, lines: list[str]) -> None:
    answer = exchange(api.url, *lines, body=b"{}\r\n\r\n")
    assert answer is None or 400 <= answer.status < 500
    assert api.get("/api/movies?limit=1").status_code == 200


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize("size", ["zz", "-1", "ffffffffffffffffff"])
def test_a_malformed_chunk_is_refused_and_others_are_served(api: Api, path: str, size: str) -> None:
    answer = exchange(
        api.url,
        f"POST {path} HTTP/1.1",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        body=f"{size}\r\n{{}}\r\n0\r\n\r\n".encode(),
    )
    assert answer is None or 400 <= answer.status < 500
    assert api.get("/api/movies?limit=1").status_code == 200


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
def test_a_body_that_breaks_off_stores_nothing(api: Api, unique: str, path: str) -> None:
    body = f'{{"title": "{unique}", "description": "", "user_id": "{unique}"'.encode()
    with RawConnection(api.url) as connection:
        connection.send(
            f"POST {path} HTTP/1.1", "Content-Type: application/json", "Content-Length: 500", body=body
        )
    assert api.get("/api/movies", params={"title": unique}).json() == {"movies": []}


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
def test_clients_that_send_no_end_of_their_body_keep_nobody_waiting(api: Api, path: str) -> None:
    with ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(RawConnection(api.url))
            connection.send(
                f"POST {path} HTTP/1.1", "Content-Type: application/json", "Content-Length: 50", body=b"{"
            )
        for _ in range(5):
            assert api.get("/api/movies?limit=1", timeout=3).status_code == 200
            assert api.get("/health/ready", timeout=3).status_code == 200


def test_clients_that_send_no_end_of_their_headers_keep_nobody_waiting(api: Api) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(RawConnection(api.url))
            connection.socket.sendall(b"GET /api/movies HTTP/1.1\r\nX-Slow: ")
        for _ in range(5):
            assert api.get("/api/movies?limit=1", timeout=3).status_code == 200
