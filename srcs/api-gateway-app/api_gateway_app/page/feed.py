"""The feed: server-sent events for every open page, from one event loop. A page holds no thread.

The proxy passes it each request to /feed, complete and with limits of its own (haproxy.cfg).
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

HEAD_SECONDS: Final = 5.0
HEAD_BYTES: Final = 64 * 1024
# A page that has not taken so much is let go; it comes again.
UNREAD_BYTES: Final = 128 * 1024
_ORDER: Final = re.compile(r"[0-9a-f-]{8,36}")
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Connection: close\r\n\r\n"
)


def event(name: str, data: Any) -> bytes:
    """Return one event as it goes over the wire."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


class Page:
    """One open page.

    Attributes:
        order: the beginning of the id of the order that it follows, or nothing.
    """

    def __init__(self, writer: asyncio.StreamWriter, order: str) -> None:
        self._writer = writer
        self.order = order

    def send(self, data: bytes) -> None:
        """Send events, without waiting for a page that does not take them."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD_BYTES:
            transport.abort()
        else:
            self._writer.write(data)

    def close(self) -> None:
        """End the answer."""
        self._writer.close()


class Feed:
    """Serves the feed on the socket `path`.

    Args:
        path: the Unix socket.
        greet: returns the first events of a page.
    """

    def __init__(self, path: Path, greet: Callable[[Page], Iterable[bytes]]) -> None:
        self._path = path
        self._greet = greet
        self._server: asyncio.Server | None = None
        self.pages: set[Page] = set()

    async def open(self) -> None:
        """Begin to take pages."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=HEAD_BYTES, backlog=256)
        self._path.chmod(0o600)

    def close(self) -> None:
        """Take no more pages, and let go those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for page in self.pages:
            page.close()

    def send(self, data: bytes) -> None:
        """Send events to every page."""
        if data:
            for page in self.pages:
                page.send(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            page = Page(writer, _followed_order(head))
            writer.write(_HEAD + b"".join(self._greet(page)))
            self.pages.add(page)
            try:
                # Nothing comes but the end.
                await reader.read()
            finally:
                self.pages.discard(page)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # It went away, or is no request: nobody waits for an answer.
            return
        finally:
            writer.close()


def _followed_order(head: bytes) -> str:
    """Return the order that a request asks for: `GET /feed?order=3f2a9c1e`."""
    target = head.split(b" ", 2)[1].decode("latin-1")
    order = parse_qs(urlsplit(target).query).get("order", [""])[0].lower()
    return order if _ORDER.fullmatch(order) else ""
