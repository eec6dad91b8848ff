"""The ASGI application that stands before the Flask application."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from api_gateway_app.front.bodies import RETRY_SECONDS, Bodies, Receive, discard
from api_gateway_app.front.environ import REFUSAL, make_environ
from api_gateway_app.front.limits import Budget, Pace, TooSlowError
from api_gateway_app.metrics import FRONT_REFUSALS
from api_gateway_app.slow_clients import cut_off
from platform_common.problems import PROBLEM_TYPE, Problem
from platform_common.request_context import REQUEST_ID_HEADER, accept_request_id

_logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Complete requests that wait for a thread. More would only wait longer than their clients do.
WAITING_REQUESTS: Final = 256
# An answer up to this size is given to the server at once; it, and the kernel, hold it meanwhile.
SMALL_ANSWER_BYTES: Final = 16 * 1024
CHUNK_BYTES: Final = 16 * 1024
# What larger answers may take together, as long as their clients have not taken them.
SHARED_BYTES: Final = 12 << 20


@dataclass
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Front:
    """Gives complete requests to `application`, in up to `threads` threads, and sends its answers."""

    def __init__(self, application: WSGIApplication, *, threads: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._most_requests = threads + WAITING_REQUESTS
        self._requests = 0
        self._bodies = Bodies()
        self._answers = Budget(SHARED_BYTES)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        headers = dict(scope["headers"])
        body = await self._bodies.read(receive, headers)
        refusal = body if isinstance(body, Problem) else None
        if self._requests >= self._most_requests:
            answer = _busy(headers)
        else:
            answer = await self._run(scope, None if isinstance(body, Problem) else body, refusal)
        if refusal is not None:
            FRONT_REFUSALS.labels(str(refusal.status)).inc()
            # Where the next request begins is not known, or far away.
            answer.headers = [field for field in answer.headers if field[0].lower() != b"connection"]
            answer.headers.append((b"connection", b"close"))
        await self._send(answer, scope, headers, receive, send)
        if refusal is not None and b"expect" not in headers:
            await discard(receive)

    async def _run(self, scope: Mapping[str, Any], body: bytes | None, refusal: Problem | None) -> _Answer:
        environ = make_environ(scope, body)
        if refusal is not None:
            environ[REFUSAL] = refusal
        self._requests += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._work, environ)
        finally:
            self._requests -= 1

    def _work(self, environ: dict[str, Any]) -> _Answer:
        """Run the application, in a thread (PEP 3333)."""
        status = 500
        fields: list[tuple[bytes, bytes]] = []

        def start_response(line: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            nonlocal status, fields
            status = int(line[:3])
            fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]

        parts = self._application(environ, start_response)
        try:
            body = b"".join(parts)
        finally:
            if close := getattr(parts, "close", None):
                close()
        return _Answer(status, fields, body)

    async def _send(
        self,
        answer: _Answer,
        scope: Mapping[str, Any],
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
    ) -> None:
        held = len(answer.body) if len(answer.body) > SMALL_ANSWER_BYTES else 0
        if not self._answers.take(held):
            answer, held = _busy(headers), 0
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            if held:
                await self._send_large(answer.body, scope, receive, send)
            else:
                await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        finally:
            self._answers.give_back(held)

    async def _send_large(self, body: bytes, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Send as fast as the client reads; an answer that ends early breaks the connection."""
        pace = Pace()
        # Sending to a client that has gone is no error to the server.
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            for start in range(0, len(body), CHUNK_BYTES):
                if gone.done():
                    return
                chunk = body[start : start + CHUNK_BYTES]
                more = start + CHUNK_BYTES < len(body)
                await pace.keep(send({"type": "http.response.body", "body": chunk, "more_body": more}))
                pace.advance(len(chunk))
        except TooSlowError:
            _logger.info("A client that read an answer too slowly is cut off.")
            cut_off(*scope["client"][:2])
        finally:
            gone.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        # The end of the request's body, also of one that it does not have.
        continue


def _busy(headers: Mapping[bytes, bytes]) -> _Answer:
    """Return the 503 of a gateway that cannot even give the request to a thread."""
    FRONT_REFUSALS.labels("503").inc()
    request_id = accept_request_id(headers.get(REQUEST_ID_HEADER.lower().encode(), b"").decode("latin-1"))
    body = json.dumps(
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": f"Too many requests at once. Try again in {RETRY_SECONDS} seconds.",
            "request_id": request_id,
        }
    ).encode()
    return _Answer(
        503,
        [
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(RETRY_SECONDS).encode()),
            (REQUEST_ID_HEADER.lower().encode(), request_id.encode()),
        ],
        body,
    )
