"""Refusing a body that is too large, in a way that its sender sees."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, Protocol

from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

# Set by the proxy, which lets no client set it, to the version of HTTP that the client speaks.
MARK: Final = "X-Body-Too-Large"
# RFC 9112, section 9.6: a server that closes while a client is sending makes the client's machine forget the
# answer. So the rest is taken and forgotten for a while.
DISCARD_SECONDS: Final = 5.0
DISCARDED_BYTES: Final = 64 << 20
_PART_BYTES: Final = 1 << 16


class Input(Protocol):
    """The part of wsgi.input that is used here."""

    def read(self, size: int, /) -> bytes: ...


def init_large_bodies(app: Flask) -> None:
    """Answer 413 to what the proxy has marked, on every route.

    The answer goes out before the rest of the body is taken, so that a sender may stop. Not with HTTP/2:
    there HAProxy cuts off an answer that is complete before its request.
    """

    @app.before_request
    def refuse() -> None:
        if MARK not in request.headers:
            return
        if request.headers[MARK] == "2.0":
            _discard(request.environ["wsgi.input"])
        raise RequestEntityTooLarge

    @app.after_request
    def take_the_rest(response: Response) -> Response:
        if MARK in request.headers:
            response.response = _then_discard(response.get_data(), request.environ["wsgi.input"])
        return response


def _then_discard(answer: bytes, body: Input) -> Iterator[bytes]:
    yield answer
    _discard(body)


def _discard(body: Input) -> None:
    ends_at = time.monotonic() + DISCARD_SECONDS
    discarded = 0
    while discarded < DISCARDED_BYTES and time.monotonic() < ends_at and (part := body.read(_PART_BYTES)):
        discarded += len(part)
