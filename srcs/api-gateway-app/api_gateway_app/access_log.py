"""The access log on its volume: one JSON object per line, rotated with a cap over all workers.

A line is put into a queue, and a thread writes what has gathered with one write(2) in append mode:
lines of several processes never mix. A line that cannot be written (the volume is full, the queue
too) is counted and dropped: a log never fails a request.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flask import Flask, Response, g, request

from api_gateway_app.metrics import ACCESS_LOG_LINES
from platform_common.request_context import request_id_var

FILE_NAME: Final = "access.log"
_QUEUE_LINES: Final = 10_000
_BATCH_LINES: Final = 500
_logger = logging.getLogger(__name__)


class AccessLog:
    """A log file in `directory`, shared by all worker processes.

    Args:
        directory: where the files lie: access.log, and the older access.log.1, access.log.2, …
        file_bytes: a file that is larger is rotated.
        files: how many files are kept, the current one included.
    """

    def __init__(self, directory: Path, *, file_bytes: int, files: int) -> None:
        self._path = directory / FILE_NAME
        self._file_bytes = file_bytes
        self._files = files
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUE_LINES)
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Write what is in the queue and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout)

    def write(self, line: bytes) -> None:
        """Have `line` (without a newline) written soon, or dropped; never waits."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            ACCESS_LOG_LINES.labels("dropped").inc()

    def _run(self) -> None:
        is_open = True
        while is_open:
            lines = [self._queue.get()]
            while len(lines) < _BATCH_LINES and not self._queue.empty():
                lines.append(self._queue.get())
            is_open = None not in lines
            batch = [line + b"\n" for line in lines if line is not None]
            try:
                self._append(b"".join(batch))
            except OSError as error:
                if not self._is_failing:
                    _logger.error("The access log cannot be written, lines are dropped: %s", error)
                self._is_failing = True
                ACCESS_LOG_LINES.labels("dropped").inc(len(batch))
            else:
                self._is_failing = False
                ACCESS_LOG_LINES.labels("written").inc(len(batch))

    def _append(self, data: bytes) -> None:
        # Opened each time: another process may have rotated the file. A batch makes that cheap.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            written = os.write(descriptor, data)
            if written < len(data):
                raise OSError("the volume is full")
            is_full = os.fstat(descriptor).st_size >= self._file_bytes
        finally:
            os.close(descriptor)
        if is_full:
            self._rotate()

    def _rotate(self) -> None:
        """Rename each file to the next number, the oldest falls off."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            mine, current = os.fstat(descriptor), self._path.stat()
            if mine.st_ino != current.st_ino or current.st_size < self._file_bytes:
                # Another process was faster.
                return
            if self._files == 1:
                self._path.unlink()
                return
            for number in range(self._files - 1, 1, -1):
                older = self._numbered(number - 1)
                if older.exists():
                    older.replace(self._numbered(number))
            self._path.replace(self._numbered(1))
        finally:
            os.close(descriptor)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{FILE_NAME}.{number}")


def init_access_log(app: Flask, log: AccessLog) -> None:
    """Write a line to `log` for each request to `app`, but for health probes."""

    @app.before_request
    def start_clock() -> None:
        g.access_log_started_at = time.perf_counter()

    @app.after_request
    def write_line(response: Response) -> Response:
        if not request.path.startswith("/health"):
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "remote": request.remote_addr,
                "method": request.method,
                "path": request.path,
                "query": request.query_string.decode("latin-1"),
                "status": response.status_code,
                "bytes": response.content_length,
                "duration_ms": round((time.perf_counter() - g.access_log_started_at) * 1000, 1),
                "user_agent": request.headers.get("User-Agent", ""),
                "request_id": request_id_var.get(),
            }
            log.write(json.dumps(line).encode("ascii", "backslashreplace"))
        return response
