"""HTTP with the standard library alone, and as bytes: requests that no other client would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value; of a repeated one, all values with commas between."""
        values = self.headers.get_all(name)
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Answer:
    """Send one request to a loopback port; a body that is no bytes goes as JSON.

    Raises: OSError or http.client.HTTPException where there is no answer.
    """
    fields = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields = {"Content-Type": "application/json"} | fields
    with closing(HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def metric(port: int, sample: str) -> float:
    """Return one sample of /metrics at a loopback port; 0 if there is none."""
    lines = ask(port, "GET", "/metrics").body.decode().splitlines()
    values = [line.removeprefix(sample) for line in lines if line.startswith(f"{sample} ")]
    return float(values[0]) if values else 0.0


class RawConnection:
    """One TCP connection to the server of `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a request line and headers (without `Host`, which is added), then `body`."""
        head = "\r\n".join([lines[0], f"Host: {self.host}", *lines[1:], "", ""])
        self.socket.sendall(head.encode("latin-1") + body)

    def answer(self, method: str = "GET") -> Answer | None:
        """Read one answer; None when the server closed the connection without one."""
        response = HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            return Answer(response.status, response.headers, response.read())
        except ConnectionError:
            return None
        finally:
            response.close()

    def is_closed(self, seconds: float = 2) -> bool:
        """Tell whether the server closes the connection within some seconds, without sending more."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def exchange(url: str, *lines: str, body: bytes = b"") -> Answer | None:
    """Send one request on a connection of its own, and give the answer, if there is one."""
    with RawConnection(url) as connection:
        # The server may answer and close before it has read everything.
        with suppress(ConnectionError):
            connection.send(*lines, body=body)
        return connection.answer(lines[0].split(" ")[0])
