"""The access log on its volume: one JSON object per line, rotated with a cap.

The proxy sends each line as a datagram, and never waits for it. A thread writes what has come with one
write(2), and each line to the container's log as well. A line that cannot be written, because the volume is
full, is counted and dropped: a log never fails a request.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from api_gateway_app.metrics import ACCESS_LOG_LINES

FILE_NAME: Final = "access.log"
_BATCH_LINES: Final = 500
_DATAGRAM_BYTES: Final = 65536
# With each datagram, the kernel tells how many did not fit before it (socket(7); Python has no name for it).
_SO_RXQ_OVFL: Final = 40
# The kernel gives as much of it as it allows (net.core.rmem_max, mostly 208 KiB): some hundred lines.
_QUEUE_BYTES: Final = 4 * 2**20
_logger = logging.getLogger(__name__)
_proxy_logger = logging.getLogger("haproxy")


class AccessLog:
    """Log files in `directory`.

    Args:
        directory: where the files lie: access.log, and the older access.log.1, access.log.2, …
        file_bytes: a file that is larger is rotated.
        files: how many files are kept, the current one included.
    """

    def __init__(self, directory: Path, *, file_bytes: int, files: int) -> None:
        self._path = directory / FILE_NAME
        self._file_bytes = file_bytes
        self._files = files
        self._is_failing = False

    def write(self, lines: list[bytes]) -> None:
        """Write `lines` (without newlines), or drop them."""
        try:
            self._append(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            if not self._is_failing:
                _logger.error("The access log cannot be written, lines are dropped: %s", error)
            self._is_failing = True
            ACCESS_LOG_LINES.labels("dropped").inc(len(lines))
        else:
            self._is_failing = False
            ACCESS_LOG_LINES.labels("written").inc(len(lines))

    def _append(self, data: bytes) -> None:
        # Opened each time: somebody may have removed it. A batch makes that cheap.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError("the volume is full")
            is_full = os.fstat(descriptor).st_size >= self._file_bytes
        finally:
            os.close(descriptor)
        if is_full:
            self._rotate()

    def _rotate(self) -> None:
        """Rename each file to the next number; the oldest falls off."""
        if self._files == 1:
            self._path.unlink()
            return
        for number in range(self._files - 1, 1, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{FILE_NAME}.{number}")


def start_reading(log: AccessLog, note: Callable[[list[bytes]], object] | None = None) -> str:
    """Receive what the proxy logs, from a thread; returns the address to which it may send.

    UDP, because the kernel keeps no more than ten datagrams for a socket with a path
    (net.unix.max_dgram_qlen), and HAProxy drops all that come while the thread waits for its turn.

    Args:
        log: where the lines go.
        note: is given the same lines.
    """
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
    receiver.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
    receiver.bind(("127.0.0.1", 0))
    threading.Thread(target=_read, args=(receiver, log, note), name="access-log", daemon=True).start()
    host, port = receiver.getsockname()
    return f"{host}:{port}"


def _read(receiver: socket.socket, log: AccessLog, note: Callable[[list[bytes]], object] | None) -> None:
    lost = 0
    while True:
        datagrams: list[bytes] = []
        while not datagrams or (len(datagrams) < _BATCH_LINES and select.select([receiver], [], [], 0)[0]):
            datagram, told, _, _ = receiver.recvmsg(_DATAGRAM_BYTES, socket.CMSG_SPACE(4))
            datagrams.append(datagram)
            for _, _, count in told:
                ACCESS_LOG_LINES.labels("dropped").inc(int.from_bytes(count, sys.byteorder) - lost)
                lost = int.from_bytes(count, sys.byteorder)
        try:
            lines = _take(datagrams, log)
            if note is not None:
                note(lines)
        except Exception:
            # Whatever is wrong with these, the next ones are to be written.
            _logger.exception("What the proxy logs cannot be read")


def _take(datagrams: list[bytes], log: AccessLog) -> list[bytes]:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = []
    for datagram in datagrams:
        # <priority>text (RFC 5424, section 6.2.1)
        priority, _, text = datagram.rstrip(b"\n").partition(b">")
        if text.startswith(b"{"):
            # What HAProxy could not read has no variables, and a dash in place of each.
            text = text.replace(b',"order":-,', b',"order":null,', 1)
            lines.append(b'{"time":"%s",' % time.encode() + text[1:])
        else:
            level = logging.WARNING if int(priority[1:]) & 7 <= 4 else logging.INFO
            _proxy_logger.log(level, text.decode("utf-8", "replace"))
    if lines:
        log.write(lines)
    for line in lines:
        _print(line)
    return lines


def _print(line: bytes) -> None:
    """Write a line to the container's log, in one piece."""
    if len(line) < select.PIPE_BUF:
        os.write(sys.stdout.fileno(), line + b"\n")
        return
    fields = json.loads(line)
    _logger.info(fields.pop("message"), extra={key: fields[key] for key in fields.keys() - {"time", "level"}})
