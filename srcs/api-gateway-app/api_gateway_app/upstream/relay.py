"""Passing a request to an upstream, and its answer back, unchanged.

An answer of usual size is read completely before any of it is sent: a slow client holds nothing of the
upstream, and an upstream that dies half-way is a clean 502. A larger one is first written to a temporary
file, as fast as the upstream sends, for the same reason. What is too large for that as well is passed on
as the client reads it; of these downloads there are only some at a time. An answer whose beginning has
been sent has a Content-Length or breaks the connection, so that nobody takes half of it for the whole.
"""

from __future__ import annotations

import http.client
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import IO, Any, Final
from urllib.parse import quote

from flask import Request, Response

from api_gateway_app.front.downloads import Download
from api_gateway_app.metrics import UPSTREAM_REQUESTS
from api_gateway_app.upstream.connection import UnusableAnswer, UpstreamFailed, UpstreamTimeout
from api_gateway_app.upstream.headers import request_headers, response_headers
from api_gateway_app.upstream.pool import Pool
from api_gateway_app.upstream.rotation import Exchange
from platform_common.problems import Problem
from platform_common.request_context import REQUEST_ID_HEADER, request_id_var
from platform_common.validation import read_body

_logger = logging.getLogger(__name__)

IN_MEMORY_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 64 * 1024
# What is sent at once: what is on its way counts as taken by the client, so it is kept small.
SENT_BYTES: Final = 16 * 1024
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
        spool_bytes: how much may lie in temporary files at the same time, in this worker.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        threads: int,
        read_seconds: float,
        spool_bytes: int = 16 << 20,
    ) -> None:
        self.name = name
        self._pool = Pool(name, url, threads, read_seconds)
        self._turns = threading.BoundedSemaphore(max(1, threads - max(2, threads // 4)))
        self._downloads = threading.BoundedSemaphore(max(1, threads // 4))
        self._spool = _Spool(spool_bytes)
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
                lambda exchange: self._answer(request.method, exchange),
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

    def _answer(self, method: str, exchange: Exchange) -> Response:
        upstream = exchange.response
        headers = response_headers(upstream.getheaders())
        if method == "HEAD" or upstream.status in _BODILESS:
            exchange.read(IN_MEMORY_BYTES)
            exchange.finish()
            return _response(upstream.status, headers, b"")
        if upstream.length is None and not upstream.chunked:
            # It would end with the connection: an upstream that died would look like one that is done.
            raise UnusableAnswer("it does not say how long its answer is")
        start = exchange.read(IN_MEMORY_BYTES)
        if upstream.isclosed():
            exchange.finish()
            return _response(upstream.status, _with_length(headers, len(start)), start)
        return self._large_answer(exchange, headers, start)

    def _large_answer(self, exchange: Exchange, headers: list[tuple[str, str]], start: bytes) -> Response:
        upstream = exchange.response
        size = None if upstream.length is None else len(start) + upstream.length
        if not self._downloads.acquire(blocking=False):
            exchange.abandon()
            raise self._problem(503, "has too many large answers on the way (or ask for pages)", "busy")
        download = _Answer()
        download.closes(self._downloads.release)
        try:
            if size is None or self._spool.has_room_for(size):
                spool = self._spool.file()
                download.closes(spool.close)
                spool.write(start)
                while chunk := exchange.read(CHUNK_BYTES):
                    spool.write(chunk)
                exchange.finish()
                size = spool.rewind()
                # From here on it takes neither the upstream nor a thread.
                download.close_first()
                download.chunks = spool
            else:
                download.closes(exchange.abandon)
                download.chunks = _rest(exchange, start)
                download.waits = True
        except _NoRoomError as error:
            exchange.abandon()
            download.close()
            raise self._problem(502, "sends too much without saying how much", "oversized", error) from error
        except BaseException:
            exchange.abandon()
            download.close()
            raise
        return _response(upstream.status, _with_length(headers, size), download)

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


class _Spool:
    """Temporary files that together hold at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    def has_room_for(self, size: int) -> bool:
        return self._used + size <= self._limit

    def file(self) -> _SpoolFile:
        return _SpoolFile(self)

    def take(self, size: int) -> None:
        with self._lock:
            if self._used + size > self._limit:
                raise _NoRoomError(f"the limit of {self._limit} bytes in temporary files is reached")
            self._used += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size


class _SpoolFile:
    """A file without a name, written once, then iterated over once."""

    def __init__(self, spool: _Spool) -> None:
        self._spool = spool
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._size = 0

    def write(self, data: bytes) -> None:
        self._spool.take(len(data))
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _NoRoomError(str(error)) from error

    def rewind(self) -> int:
        """Go to the beginning; return the size."""
        self._file.seek(0)
        return self._size

    def __iter__(self) -> _SpoolFile:
        return self

    def __next__(self) -> bytes:
        if chunk := self._file.read(SENT_BYTES):
            return chunk
        raise StopIteration

    def close(self) -> None:
        self._file.close()
        self._spool.give_back(self._size)


class _NoRoomError(Exception):
    pass


class _Answer(Download):
    """A large answer on its way to the client."""

    def __init__(self) -> None:
        self.chunks: Iterator[bytes] = iter(())
        self._on_close: list[Callable[[], None]] = []

    def closes(self, action: Callable[[], None]) -> None:
        """Have `action` done at the end, whether the client got everything or not."""
        self._on_close.append(action)

    def close_first(self) -> None:
        """Do now what was to be done at the end, of what was asked for first."""
        self._on_close.pop(0)()

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        actions, self._on_close = self._on_close, []
        for action in actions:
            action()


def _status(exchange: Exchange) -> int:
    """Receive an answer of which only the status counts."""
    while exchange.read(CHUNK_BYTES):
        pass
    exchange.finish()
    return exchange.response.status


def _rest(exchange: Exchange, start: bytes) -> Iterator[bytes]:
    """Yield `start` and then what follows, as it comes."""
    for position in range(0, len(start), SENT_BYTES):
        yield start[position : position + SENT_BYTES]
    while chunk := exchange.read(SENT_BYTES):
        yield chunk


def _target(environ: Mapping[str, Any]) -> str:
    """Return path and query of a request, percent-encoded.

    The server hands the path over decoded. Encoding it again gives an equivalent address; the
    upstream, which decodes it, sees exactly the same. A segment "." or ".." never gets here:
    see `movies`.
    """
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe=_PATH_SAFE)
    query = environ["QUERY_STRING"]
    return f"{path}?{quote(query, safe=_QUERY_SAFE)}" if query else path


def _with_length(headers: list[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    return [
        *((name, value) for name, value in headers if name.lower() != "content-length"),
        ("Content-Length", str(length)),
    ]


def _response(status: int, headers: list[tuple[str, str]], body: bytes | Download) -> Response:
    response = Response(body, status, direct_passthrough=not isinstance(body, bytes))
    # Flask's own Content-Type and Content-Length must not be mixed in.
    response.headers.clear()
    response.headers.extend(headers)
    return response
