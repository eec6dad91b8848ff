"""When unforeseen input is not sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import jsonschema_rs
import pytest

from api_gateway_app.docs import load_openapi
from fuzz import EXIT_USAGE, exact, main


class Platform(BaseHTTPRequestHandler):
    """Answers as a gateway does that holds `movies` and asks for a token where `closed`."""

    movies: ClassVar[bytes] = b""
    closed: ClassVar[bool] = False
    calls: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.calls.append(f"GET {self.path}")
        body = b'{"movies": [' + self.movies + b"]}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        self.calls.append(f"DELETE {self.path}")
        self.send_response(401 if self.closed else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def platform() -> Iterator[tuple[str, type[Platform]]]:
    class Fresh(Platform):
        calls: ClassVar[list[str]] = []

    server = HTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Fresh
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_platform_that_holds_movies_is_left_alone(
    platform: tuple[str, type[Platform]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLATFORM_DESTRUCTIVE", raising=False)
    url, handler = platform
    handler.movies = b'{"id": 1, "title": "a", "description": ""}'
    assert main(["--url", url]) == EXIT_USAGE
    assert handler.calls == ["GET /api/movies?limit=1"]
    assert "PLATFORM_DESTRUCTIVE=1" in capsys.readouterr().err


def test_a_platform_that_asks_for_a_token_is_not_called_tested(
    platform: tuple[str, type[Platform]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = platform
    handler.closed = True
    assert main(["--url", url]) == EXIT_USAGE
    assert "API_TOKEN" in capsys.readouterr().err


def test_where_no_platform_answers_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1"]) == EXIT_USAGE
    assert "No platform answers at http://127.0.0.1:1." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("amount", "is_right"),
    [(0.07, True), ("0.07", True), (9999999999.99, True), (0.001, False), ("0.001", False), ("1e400", False)],
)
def test_schemathesis_is_told_exactly_which_amounts_are_right(amount: float | str, is_right: bool) -> None:
    document = exact(load_openapi())
    schema = document["components"]["schemas"]["TotalAmount"]
    validator = jsonschema_rs.Draft202012Validator({"components": document["components"], **schema})
    assert validator.is_valid(amount) is is_right
