"""An HTTP server on bare sockets that does wrong whatever an app behind the gateway can do wrong."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True)
class Received:
    """A request, as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    number_on_connection: int
    connection: socket.socket

    @property
    def is_closed(self) -> bool:
        """Whether its connection has been closed from here."""
        return self.connection.fileno() == -1


@dataclass
class FaultyUpstream:
    """Listens on a loopback address; what it does is said by the last part of the path.

    Attributes:
        host: where it listens.
        port: where it listens; 0 takes a free one.
        health: what /health/ready says: "ready", "draining" or "unready"; or "says_nothing".
        hangs: whether it answers nothing else, either.
    """

    host: str = "127.0.0.1"
    port: int = 0
    health: str = "ready"
    hangs: bool = False
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.host, self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://{self.host}:{self.port}"
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._has_crashed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and let go who waits."""
        if not self._released.is_set():
            self._released.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    @property
    def is_well(self) -> bool:
        """Whether it listens, is ready, and answers."""
        return not self._released.is_set() and self.health == "ready" and not self.hangs

    def crash(self) -> None:
        """End as a killed process does: nobody listens, and every connection is closed at once."""
        self.close()
        with self._lock:
            self._has_crashed = True
            for connection in self._open:
                # The gateway may have closed it already.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def requests(self, method: str | None = None) -> list[Received]:
        """What was received, but for health checks."""
        return [
            request
            for request in list(self.received)
            if "health" not in request.target and method in {None, request.method}
        ]

    def _accept(self) -> None:
        while not self._released.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._has_crashed:
                    connection.close()
                    return
                self._open.add(connection)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._answer_all(connection)
        except OSError:
            # The gateway has given up: tests do that to it.
            return
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        number = 0
        with connection, stream:
            while line := stream.readline():
                number += 1
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers: list[tuple[str, str]] = []
                while (header := stream.readline().decode("latin-1").strip()) != "":
                    name, _, value = header.partition(":")
                    headers.append((name, value.strip()))
                length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
                request = Received(method, target, headers, stream.read(length), number, connection)
                self.received.append(request)
                act: Callable[[socket.socket, Received], bool] = getattr(
                    self, target.partition("?")[0].rsplit("/", 1)[-1].replace("-", "_"), self.echo
                )
                if self.hangs and "health" not in target:
                    act = self.says_nothing
                if not act(connection, request):
                    return

    # Each of these answers and says whether the connection stays.

    def echo(self, connection: socket.socket, request: Received) -> bool:
        body = json.dumps(
            {
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "body": request.body.decode("latin-1"),
            }
        ).encode()
        _send(connection, "200 OK", f"Content-Type: application/json\r\nContent-Length: {len(body)}", body)
        return True

    def ready(self, connection: socket.socket, request: Received) -> bool:
        """Answer /health/ready."""
        if self.health == "says_nothing":
            return self.says_nothing(connection, request)
        body = json.dumps({"status": self.health, "dependencies": {}}).encode()
        status = "200 OK" if self.health == "ready" else "503 Service Unavailable"
        _send(connection, status, f"Content-Length: {len(body)}", body)
        return True

    def dies_after_answer(self, connection: socket.socket, request: Received) -> bool:
        """Close the connection without having said so."""
        self.echo(connection, request)
        return False

    def special_headers(self, connection: socket.socket, _request: Received) -> bool:
        head = (
            'Content-Type: text/plain\r\nX-Twice: one\r\nX-Twice: two\r\nETag: "abc"\r\n'
            "Connection: X-For-The-Gateway\r\nX-For-The-Gateway: secret\r\nKeep-Alive: timeout=5\r\n"
            "Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 2"
        )
        _send(connection, "418 I'm a teapot", head, b"ok")
        return True

    def no_content(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "204 No Content", "X-Empty: yes", b"")
        return True

    def not_allowed(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "405 Method Not Allowed", "Allow: GET, HEAD\r\nContent-Length: 0", b"")
        return True

    def chunked(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Transfer-Encoding: chunked", b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        return True

    def answers_once(self, connection: socket.socket, request: Received) -> bool:
        """Take a second request on a connection, and close it without an answer."""
        return request.number_on_connection == 1 and self.echo(connection, request)

    def says_nothing(self, _connection: socket.socket, _request: Received) -> bool:
        self._released.wait(60)
        return False

    def answers_after_four_seconds(self, connection: socket.socket, request: Received) -> bool:
        self._released.wait(4)
        return self.echo(connection, request)

    def dies_before_answer(self, _connection: socket.socket, _request: Received) -> bool:
        return False

    def dies_in_head(self, connection: socket.socket, _request: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Ty")
        return False

    def dies_in_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Content-Length: 1000", b"half")
        return False

    def dies_in_chunks(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Transfer-Encoding: chunked", b"3\r\nabc\r\n")
        return False

    def resets_in_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Content-Length: 1000", b"half")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def dies_in_large_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {MEBIBYTE}", b"x" * (MEBIBYTE - 1))
        return False

    def large(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {MEBIBYTE}", b"x" * MEBIBYTE)
        return True

    def large_in_chunks(self, connection: socket.socket, _request: Received) -> bool:
        chunk = b"10000\r\n" + b"y" * 0x10000 + b"\r\n"
        _send(connection, "200 OK", "Transfer-Encoding: chunked", chunk * 16 + b"0\r\n\r\n")
        return True

    def no_http(self, connection: socket.socket, _request: Received) -> bool:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False


def _send(connection: socket.socket, status: str, head: str, body: bytes) -> None:
    connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body)
