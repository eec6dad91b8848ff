"""A reader of the page's feed, as a browser would read it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.library.gateway import Gateway
from tests.library.support import wait_until


class FeedReader:
    """One open page."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rb")
        status_line = self._stream.readline().decode()
        self.status = int(status_line.split(" ")[1])
        self.headers: dict[str, str] = {}
        while line := self._stream.readline().decode().strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        # Of an answer that ends.
        self.body = self._stream.read(int(self.headers.get("content-length", 0)))

    def close(self) -> None:
        """Let go of the connection, which stays open otherwise."""
        self._stream.close()

    def events(self) -> Iterator[tuple[str, Any]]:
        """Give each event that comes: its name and its data."""
        name = ""
        for line in self._stream:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)

    def wait_for(self, name: str, condition: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the data of the next event of this name that fulfils the condition."""
        for each, data in self.events():
            if each == name and condition(data):
                return data
        raise AssertionError(f"The feed ended before such an event: {name}")

    def wait_for_end(self) -> None:
        """Read until the feed ends."""
        for _ in self.events():
            pass


@contextmanager
def open_feed(gateway: Gateway, query: str = "") -> Iterator[FeedReader]:
    """Open a page's feed; a reader that gets nothing for ten seconds fails.

    The feed begins a moment after the gateway: until then it is asked for again, as a page does.
    """
    with ExitStack() as stack:
        readers: list[FeedReader] = []

        def is_there() -> bool:
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
            )
            connection.sendall(f"GET /feed{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            readers.append(FeedReader(connection))
            stack.callback(readers[-1].close)
            return readers[-1].status != 503 or b"is not there" not in readers[-1].body

        wait_until(is_there, "the feed has begun")
        yield readers[-1]
