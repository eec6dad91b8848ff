"""Letting a client finish the body that is refused, so that it sees the answer.

A server that closes with unread data in its buffers makes the client's machine forget the answer,
too (RFC 9112, section 9.6): a client that is still sending would see a broken connection, not the 413
or the 401.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, request

DISCARDED_BYTES: Final = 8 << 20
DISCARD_SECONDS: Final = 2.0
_CHUNK_BYTES: Final = 64 * 1024
# Answers that are given before the body is read.
_REFUSALS: Final = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNAUTHORIZED})


def init_refused_bodies(app: Flask) -> None:
    """Before each such answer, read and forget the rest of the body, up to a limit."""

    @app.after_request
    def discard_body(response: Response) -> Response:
        # Who asks first (100-continue) sends no body after a refusal.
        if response.status_code in _REFUSALS and "HTTP_EXPECT" not in request.environ:
            stream = request.environ["wsgi.input"]
            deadline = time.monotonic() + DISCARD_SECONDS
            discarded = 0
            while discarded < DISCARDED_BYTES and time.monotonic() < deadline:
                chunk = stream.read(_CHUNK_BYTES)
                if not chunk:
                    break
                discarded += len(chunk)
        return response
