"""The request's id: taken or made, carried through logs, and given back; one log line per request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextvars import ContextVar
from typing import Final

from flask import Flask, Response, g, request

REQUEST_ID_HEADER: Final = "X-Request-ID"
request_id_var: ContextVar[str] = ContextVar("request_id", default="")

_ACCEPTED: Final = re.compile(r"[\x20-\x7e]{1,128}")
_logger = logging.getLogger("access")


def accept_request_id(value: str | None) -> str:
    """Return `value` if it is 1 to 128 printable ASCII characters (and not blank), else a new id."""
    if value is not None and _ACCEPTED.fullmatch(value) and not value.isspace():
        return value
    return str(uuid.uuid4())


def init_request_context(app: Flask) -> None:
    """Give every request of `app` an id, and write one access log line for each.

    The id comes from X-Request-ID when that is fit to be repeated, goes back in the answer,
    and is in every log line that is written meanwhile. Health probes are logged at debug level.
    """

    @app.before_request
    def take_request_id() -> None:
        g.started_at = time.perf_counter()
        request_id_var.set(accept_request_id(request.headers.get(REQUEST_ID_HEADER)))

    @app.after_request
    def give_request_id(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = request_id_var.get()
        level = logging.DEBUG if request.path.startswith("/health") else logging.INFO
        if _logger.isEnabledFor(level):
            duration = (time.perf_counter() - g.started_at) * 1000
            _logger.log(
                level,
                "%s %s %d",
                request.method,
                request.path,
                response.status_code,
                extra={
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "duration_ms": round(duration, 1),
                },
            )
        return response

    @app.teardown_request
    def forget_request_id(_error: BaseException | None) -> None:
        request_id_var.set("")
