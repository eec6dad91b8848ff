"""HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True)
class RawAnswer:
    """One answer, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes


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

    def answer(self, method: str = "GET") -> RawAnswer | None:
        """Read one answer; None when the server closed the connection without one."""
        response = HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            return RawAnswer(response.status, response.headers, response.read())
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


def exchange(url: str, *lines: str, body: bytes = b"") -> RawAnswer | None:
    """Send one request on a connection of its own, and give the answer, if there is one."""
    with RawConnection(url) as connection:
        # The server may answer and close before it has read everything.
        with suppress(ConnectionError):
            connection.send(*lines, body=body)
        return connection.answer(lines[0].split(" ")[0])
