"""Passing a request to an upstream, and its answer back, unchanged.

An answer is read completely before any of it is sent: a slow client holds nothing of the upstream, and an
upstream that dies half-way is a clean 502. So an answer has a largest size, twice that of the largest page.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from flask import Request, Response

from api_gateway_app.metrics import UPSTREAM_REQUESTS
from api_gateway_app.upstream.connection import UnusableAnswer, UpstreamFailed, UpstreamTimeout
from api_gateway_app.upstream.headers import request_headers, response_headers
from api_gateway_app.upstream.pool import Pool
from api_gateway_app.upstream.rotation import Exchange
from platform_common.problems import Problem
from platform_common.request_context import REQUEST_ID_HEADER, request_id_var
from platform_common.validation import read_body

_logger = logging.getLogger(__name__)

ANSWER_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 64 * 1024
# How long a request waits for its turn when the upstream has all of its share of our threads.
TURN_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 2

# RFC 3986, section 3.3: what a path may hold without percent-encoding.
_PATH_SAFE: Final = "/-._~!$&'()*+,;=:@"
# A query is passed as it came, except for what would not fit into a request line.
_QUERY_SAFE: Final = _PATH_SAFE + '%?[]{}|\\"<>^`#'
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Upstream:
    """An app behind the gateway, with all of its replicas.

    Args:
        name: its name for people, such as inventory-app.
        url: where it is, such as http://inventory-app:8080.
        threads: threads of this worker. Some are left to other calls when this upstream hangs.
        read_seconds: longest silence of the upstream before it counts as hanging.
    """

    def __init__(self, name: str, url: str, *, threads: int, read_seconds: float) -> None:
        self.name = name
        self._pool = Pool(name, url, threads, read_seconds)
        self._turns = threading.BoundedSemaphore(max(1, threads - max(2, threads // 4)))
        self._answered = UPSTREAM_REQUESTS.labels(name, "answered")

    def pass_through(self, request: Request) -> Response:
        """Send `request` on and return the answer, both unchanged but for the hop-by-hop headers.

        Raises:
            Problem: 502, 503 or 504 where there is no answer to pass on.
            RequestEntityTooLarge: the body is too large.
        """
        # The front has received it in full: a slow sender never holds the upstream.
        body = read_body(request)
        has_body = bool(body) or "CONTENT_LENGTH" in request.environ
        headers = [*request_headers(request.environ), (REQUEST_ID_HEADER, request_id_var.get())]
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise self._problem(503, "is busy", "busy")
        try:
            response = self._pool.request(
                request.method,
                _target(request.environ),
                headers,
                body if has_body else None,
                lambda exchange: _receive(request.method, exchange),
            )
        except UpstreamTimeout as error:
            raise self._problem(504, "did not answer in time", "timeout", error) from error
        except UpstreamFailed as error:
            raise self._problem(502, "cannot be reached", "unreachable", error) from error
        except http.client.InvalidURL as error:
            raise Problem(
                400, "Bad Request", "The address holds characters that it must not hold."
            ) from error
        finally:
            self._turns.release()
        self._answered.inc()
        return response

    def check(self, path: str = "/health/ready") -> Mapping[str, Any]:
        """Say whether the upstream is ready to work, for /health/ready."""
        headers = [(REQUEST_ID_HEADER, "health-check")]
        try:
            status = self._pool.request("GET", path, headers, None, _status)
        except UpstreamFailed as error:
            return {"status": "down", "reason": f"it cannot be reached over the network: {error}"}
        if status != HTTPStatus.OK:
            return {"status": "down", "reason": f"it answers {status}"}
        return {"status": "up"}

    def _problem(self, status: int, what: str, outcome: str, error: Exception | None = None) -> Problem:
        UPSTREAM_REQUESTS.labels(self.name, outcome).inc()
        if error is not None:
            _logger.warning("%s %s: %s", self.name, what, error)
        return Problem(
            status,
            HTTPStatus(status).phrase,
            f"{self.name} {what}. Try again in {RETRY_SECONDS} seconds.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )


def _receive(method: str, exchange: Exchange) -> Response:
    upstream = exchange.response
    headers = response_headers(upstream.getheaders())
    if method == "HEAD" or upstream.status in _BODILESS:
        exchange.read(ANSWER_BYTES)
        exchange.finish()
        return _response(upstream.status, headers, b"")
    if upstream.length is None and not upstream.chunked:
        # It would end with the connection: an upstream that died would look like one that is done.
        raise UnusableAnswer("it does not say how long its answer is")
    body = exchange.read(ANSWER_BYTES + 1)
    if len(body) > ANSWER_BYTES:
        raise UnusableAnswer(f"its answer is larger than {ANSWER_BYTES:,} bytes")
    exchange.finish()
    headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
    return _response(upstream.status, [*headers, ("Content-Length", str(len(body)))], body)


def _status(exchange: Exchange) -> int:
    """Receive an answer of which only the status counts."""
    while exchange.read(CHUNK_BYTES):
        pass
    exchange.finish()
    return exchange.response.status


def _target(environ: Mapping[str, Any]) -> str:
    """Return path and query of a request, percent-encoded.

    The server hands the path over decoded. Encoding it again gives an equivalent address; the
    upstream, which decodes it, sees exactly the same. A segment "." or ".." never gets here:
    see `movies`.
    """
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe=_PATH_SAFE)
    query = environ["QUERY_STRING"]
    return f"{path}?{quote(query, safe=_QUERY_SAFE)}" if query else path


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> Response:
    response = Response(body, status)
    # Flask's own Content-Type and Content-Length must not be mixed in.
    response.headers.clear()
    response.headers.extend(headers)
    return response
