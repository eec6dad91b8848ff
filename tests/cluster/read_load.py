"""Clients that read movies, and try the next gateway where one refuses them or says that it cannot now."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Final

import requests
from tests.library.loads import Clients

CLIENTS: Final = 4
GATEWAYS: Final = 3
PAUSE: Final = 0.05


class ReadLoad(Clients):
    """Each client asks as soon as it was answered.

    Args:
        address: gives the URL of a gateway, of another one at each call.

    Attributes:
        answered: how many requests ended with a 200.
        failed: why others did not, at any gateway.
        longest: seconds, the longest that a client waited for its answer, over all gateways that it tried.
    """

    def __init__(self, address: Callable[[], str]) -> None:
        super().__init__(CLIENTS)
        self._address = address
        self.answered = 0
        self.failed: list[str] = []
        self.longest = 0.0

    def _run(self, _number: int) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            reason = self._ask()
            with self._lock:
                self.longest = max(self.longest, time.monotonic() - began)
                if reason:
                    self.failed.append(reason)
                else:
                    self.answered += 1
            self._stop.wait(PAUSE)

    def _ask(self) -> str:
        """Read movies; give why no gateway answered, or nothing."""
        reason = ""
        for _ in range(GATEWAYS):
            url = "no address"
            try:
                with self._lock:
                    url = self._address()
                answer = requests.get(f"{url}/api/movies?limit=5", timeout=10)
            except (requests.RequestException, subprocess.CalledProcessError) as error:
                reason = f"{url}: {error}"
                continue
            if answer.status_code == 200:
                return ""
            reason = f"{url}: {answer.status_code} {answer.text[:200]}"
            # A gateway that has just started has not found inventory-app yet.
            if answer.status_code != 503 or "Retry-After" not in answer.headers:
                return reason
        return reason
