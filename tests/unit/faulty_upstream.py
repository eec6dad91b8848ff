"""An HTTP server on bare sockets that does wrong whatever an app behind the gateway can do wrong."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
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


@dataclass
class FaultyUpstream:
    """Listens on a loopback port; what it does is said by the last part of the path."""

    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._released = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and let go who waits."""
        self._released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._released.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._answer_all(connection)
        except OSError:
            # The gateway has given up: tests do that to it.
            return

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
                request = Received(method, target, headers, stream.read(length), number)
                self.received.append(request)
                act: Callable[[socket.socket, Received], bool] = getattr(
                    self, target.partition("?")[0].rsplit("/", 1)[-1].replace("-", "_"), self.echo
                )
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

    def until_close(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Connection: close", b"until the end")
        return False

    def answers_once(self, connection: socket.socket, request: Received) -> bool:
        """Take a second request on a connection, and close it without an answer."""
        return request.number_on_connection == 1 and self.echo(connection, request)

    def says_nothing(self, _connection: socket.socket, _request: Received) -> bool:
        self._released.wait(60)
        return False

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

    def stops_in_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", "Content-Length: 1000", b"half")
        self._released.wait(60)
        return False

    def dies_in_large_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {4 * MEBIBYTE}", b"x" * 3 * MEBIBYTE)
        return False

    def dies_in_huge_body(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {40 * MEBIBYTE}", b"x" * 20 * MEBIBYTE)
        return False

    def large(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {8 * MEBIBYTE}", b"x" * 8 * MEBIBYTE)
        return True

    def huge(self, connection: socket.socket, _request: Received) -> bool:
        _send(connection, "200 OK", f"Content-Length: {40 * MEBIBYTE}", b"x" * 40 * MEBIBYTE)
        return True

    def large_in_chunks(self, connection: socket.socket, _request: Received) -> bool:
        chunk = b"10000\r\n" + b"y" * 0x10000 + b"\r\n"
        _send(connection, "200 OK", "Transfer-Encoding: chunked", chunk * 48 + b"0\r\n\r\n")
        return True

    def no_http(self, connection: socket.socket, _request: Received) -> bool:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False


def _send(connection: socket.socket, status: str, head: str, body: bytes) -> None:
    connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body)
