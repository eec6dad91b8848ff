"""Reading a request's body, or refusing it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from api_gateway_app.front.limits import Budget, Pace, TooSlowError
from platform_common.app import MAXIMUM_BODY_BYTES
from platform_common.problems import Problem

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# All larger bodies share this much memory; so much of each is free, and bounded by the number of
# connections. An order is smaller, and so is always read.
SHARED_BYTES: Final = 8 << 20
FREE_BYTES: Final = 4 * 1024
RETRY_SECONDS: Final = 2
# RFC 9112, section 9.6: a server that closes while a client is sending makes the client's machine
# forget the answer. So what a refused client still sends is taken and forgotten for a while.
DISCARD_SECONDS: Final = 5.0
DISCARDED_BYTES: Final = 64 << 20


class Bodies:
    """Reads bodies within what they may take together."""

    def __init__(self) -> None:
        self._shared = Budget(SHARED_BYTES)

    async def read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes | Problem | None:
        """Return the complete body; None where the request has none; a problem where it is refused."""
        if not headers.keys() & {b"content-length", b"transfer-encoding"}:
            return None
        return _refuse_unread(headers) or await self._read(receive)

    async def _read(self, receive: Receive) -> bytes | Problem:
        taken = 0
        try:
            body = bytearray()
            pace = Pace()
            while True:
                message = await pace.keep(receive())
                if message["type"] != "http.request":
                    # The client has gone, which the server does not tell from chunks that are none.
                    return _problem(400, "The body breaks off, or its chunks are malformed.")
                chunk: bytes = message["body"]
                if len(body) + len(chunk) > MAXIMUM_BODY_BYTES:
                    return _too_large()
                more = max(0, len(body) + len(chunk) - FREE_BYTES) - taken
                if not self._shared.take(more):
                    return _problem(
                        503,
                        f"Too many large bodies at once. Try again in {RETRY_SECONDS} seconds.",
                        {"Retry-After": str(RETRY_SECONDS)},
                    )
                taken += more
                body += chunk
                pace.advance(len(chunk))
                if not message["more_body"]:
                    return bytes(body)
        except TooSlowError:
            return _problem(408, "The body did not come in time. Send it faster, or in smaller parts.")
        finally:
            self._shared.give_back(taken)


async def discard(receive: Receive) -> None:
    """Take and forget the rest of a refused body, so that its sender gets to read the answer."""
    discarded = 0
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while discarded < DISCARDED_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message["more_body"]:
                    return
                discarded += len(message["body"])
    except TimeoutError:
        return


def _refuse_unread(headers: Mapping[bytes, bytes]) -> Problem | None:
    length = headers.get(b"content-length")
    if length is not None and b"transfer-encoding" in headers:
        # RFC 9112, section 6.1: two servers could disagree about where such a request ends.
        return _problem(400, "Content-Length and Transfer-Encoding exclude each other: send one.")
    if length is not None and int(length) > MAXIMUM_BODY_BYTES:
        return _too_large()
    return None


def _too_large() -> Problem:
    return _problem(413, f"The body is too large. Send at most {MAXIMUM_BODY_BYTES:,} bytes.")


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Problem:
    return Problem(status, HTTPStatus(status).phrase, detail, headers=headers or {})
