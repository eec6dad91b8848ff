"""Clients that work at the same time, for as long as a `with` block lasts."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self


class Clients:
    """Threads that each run `_run(number)`, which returns soon after `_stop` is set.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        raise NotImplementedError
