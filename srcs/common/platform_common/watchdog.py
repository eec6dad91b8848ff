"""The watchdog: ends a process of the app that stands still.

Docker restarts a container whose process has ended, but not one that hangs. So a thread of the
main process watches the heartbeats of all others, and kills the one that stands still: then the
app ends (see `server`), and its restart policy brings it back.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from platform_common.heartbeat import Heartbeat

ROUND_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


def watch(heartbeats: Mapping[str, Heartbeat], still_seconds: float, own_sign: Path) -> None:
    """Start a thread that kills each process whose heartbeat is older than `still_seconds`.

    It touches the file `own_sign` each second: the container's health check watches this process.
    """
    threading.Thread(
        target=_watch, args=(heartbeats, still_seconds, own_sign), name="watchdog", daemon=True
    ).start()


def beat_in_background(heartbeat: Heartbeat) -> None:
    """Start a thread that shows that this process runs at all (is not stopped, not deadlocked)."""

    def beat() -> None:
        while True:
            heartbeat.beat()
            time.sleep(ROUND_SECONDS)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()


def _watch(heartbeats: Mapping[str, Heartbeat], still_seconds: float, own_sign: Path) -> None:
    last_round = time.monotonic()
    patient_until = 0.0
    while True:
        time.sleep(ROUND_SECONDS)
        # Removed at the very end.
        with suppress(FileNotFoundError):
            os.utime(own_sign)
        now = time.monotonic()
        if now - last_round > 5 * ROUND_SECONDS:
            # This process stood still itself (a paused container, a suspended machine): the
            # others need time to beat again before their age means anything.
            patient_until = now + still_seconds
        last_round = now
        if now < patient_until:
            continue
        for name, heartbeat in heartbeats.items():
            age, process_id = heartbeat.age(), heartbeat.process_id()
            if age is not None and process_id is not None and age > still_seconds:
                _logger.critical("%s has stood still for %.0f s: killing process %d", name, age, process_id)
                _kill(process_id)


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        _logger.info("process %d has already ended", process_id)
