"""Logs: one JSON object per line on standard output."""

from __future__ import annotations

import json
import logging
import logging.config
import select
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from platform_common.request_context import request_id_var

# All processes of an app write to one pipe. Only a write up to this size, its newline included,
# stays in one piece.
LINE_BYTES: Final = select.PIPE_BUF
_logger = logging.getLogger(__name__)


# What every record has, and what formatting one adds: all else was given as `extra`.
_NO_EXTRA: Final = logging.makeLogRecord({}).__dict__.keys() | {"asctime", "message", "taskName"}
# What a client sends can hold other ends of lines (U+0085, U+2028) and terminal controls: ASCII only.
_encode: Final = json.JSONEncoder(default=str).encode


class LineFormatter(logging.Formatter):
    """A log record as one line of JSON, at most LINE_BYTES long: of longer texts a part is left out.

    Fields: time (UTC), level, service, logger, message, request_id (within a request), what was
    given as `extra`, and `exception` with the whole traceback as one text.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; called by the library for each record."""
        time = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := request_id_var.get():
            entry["request_id"] = request_id
        entry |= {name: value for name, value in record.__dict__.items() if name not in _NO_EXTRA}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = _encode(entry)
        while len(line) >= LINE_BYTES:
            key = max(entry, key=lambda key: len(str(entry[key])))
            entry[key] = _shortened(str(entry[key]), keep_end=key == "exception")
            line = _encode(entry)
        return line


def _shortened(text: str, *, keep_end: bool) -> str:
    """Leave out half of `text`: a traceback says at its end what happened."""
    half = len(text) // 2
    return f"[…]{text[-half:]}" if keep_end else f"{text[:half]}[…]"


def logging_config(service_name: str, level: str) -> dict[str, Any]:
    """Return the `logging.config` dictionary; granian takes it too, so that its lines look alike."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LineFormatter, "service": service_name}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            }
        },
        "root": {"level": level.upper(), "handlers": ["stdout"]},
        "loggers": {
            # pika logs each failed connect as three tracebacks; the apps log it as one line.
            "pika": {"level": "CRITICAL"},
            "alembic": {"level": level.upper()},
        },
    }


def configure_logging(service_name: str, level: str) -> None:
    """Send the logs of this process to standard output as JSON lines.

    Args:
        service_name: the value of each line's `service`.
        level: debug, info, warning, error or critical.
    """
    logging.config.dictConfig(logging_config(service_name, level))


def log_what_python_would_print() -> None:
    """Log what Python itself would write to standard error: warnings, and errors that nobody caught."""
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda kind, error, trace: _log_error("uncaught", kind, error, trace)
    threading.excepthook = lambda hook: _log_error(
        f"uncaught in thread {hook.thread.name if hook.thread else '?'}",
        hook.exc_type,
        hook.exc_value,
        hook.exc_traceback,
    )
    sys.unraisablehook = lambda hook: _log_error(
        hook.err_msg or "ignored in a destructor", hook.exc_type, hook.exc_value, hook.exc_traceback
    )


def _log_error(
    message: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    _logger.error(message, exc_info=(kind, error or kind(), trace))
