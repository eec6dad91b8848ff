"""Resting in the middle of work, so that requests find a processor that is free."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Long beside what the pipes between a server and us hold (two megabytes, which it goes on to fill while we
# rest), and short beside the time that anybody waits for progress.
WORK_SECONDS: Final = 0.5


class Pace:
    """Works for a part of the time only.

    Who reads a pipe slowly makes the one who writes into it slow, and so a dump rests when its reader does.
    A low priority is not enough: a processor that is busy slows down what runs beside it.

    Args:
        work_percent: so much of the time may be work, from 1 to 100.
        clock: gives seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        work_percent: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rest_seconds_per_second = 100 / work_percent - 1
        self._clock = clock
        self._sleep = sleep
        self._began = clock()

    def rest_when_due(self) -> None:
        """Return at once, or, after a stretch of work, when it is time for the next one."""
        worked = self._clock() - self._began
        if worked >= WORK_SECONDS:
            self._sleep(worked * self._rest_seconds_per_second)
            self._began = self._clock()
