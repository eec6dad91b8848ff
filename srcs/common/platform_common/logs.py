"""Logs: one JSON object per line on standard output."""

from __future__ import annotations

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from platform_common.request_context import request_id_var


class LineFormatter(JsonFormatter):
    """A log record as one line of JSON.

    Fields: time (UTC), level, service, logger, message, request_id (within a request), what was
    given as `extra`, and `exception` with the whole traceback as one text.
    """

    def __init__(self, service: str) -> None:
        super().__init__(
            "%(message)s",
            static_fields={"service": service},
            rename_fields={"exc_info": "exception"},
            json_ensure_ascii=False,
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fill `log_data`; called by the library for each record."""
        time = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        if request_id := request_id_var.get():
            log_data["request_id"] = request_id


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
