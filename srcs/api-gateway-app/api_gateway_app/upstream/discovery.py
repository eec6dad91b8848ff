"""Finding an app's replicas: all of them have its name, and Docker's name server knows their addresses."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

# A replica that is new gets requests within this, the pause before its next probe, and the probe itself.
RESOLVE_SECONDS: Final = 2.0
# However many ask, the name server is asked only so often.
PAUSE_SECONDS: Final = 0.2
_logger = logging.getLogger(__name__)


Resolve = Callable[[str], frozenset[str]]


class Discovery:
    """Asks for the addresses of a name again and again, in a thread of its own.

    Args:
        host: the name.
        resolve: gives the addresses of a name, see `resolve`.
        on_answer: told the addresses, and when the question was asked (`time.monotonic`).
        on_failure: told when there is no answer.
    """

    def __init__(
        self,
        host: str,
        resolve: Resolve,
        on_answer: Callable[[frozenset[str], float], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._host = host
        self._resolve = resolve
        self._on_answer = on_answer
        self._on_failure = on_failure
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._rounds = 0
        self._round_over = threading.Condition()
        self._failure = ""

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._run, name=f"addresses-of-{self._host}", daemon=True).start()

    def ask_again(self) -> None:
        """Ask soon: an address does not work any more."""
        self._wanted.set()

    def wait(self, seconds: float) -> None:
        """Ask now, and return after that or after `seconds`."""
        with self._round_over:
            number = self._rounds
            self._wanted.set()
            self._round_over.wait_for(lambda: self._rounds > number, seconds)

    def stop(self) -> None:
        """End the thread after its current round."""
        self._stopped.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS if self._rounds else 0):
            self._wanted.clear()
            self._ask()
            with self._round_over:
                self._rounds += 1
                self._round_over.notify_all()
            self._wanted.wait(RESOLVE_SECONDS * random.uniform(0.8, 1))  # noqa: S311 (no secret)

    def _ask(self) -> None:
        asked_at = time.monotonic()
        try:
            addresses = self._resolve(self._host)
        except OSError as error:
            self._note(str(error))
            self._on_failure()
            return
        self._note("")
        self._on_answer(addresses, asked_at)

    def _note(self, failure: str) -> None:
        """Log that names cannot be resolved, or can again, once each time."""
        if failure and not self._failure:
            _logger.warning("%s has no address (%s): those known are kept", self._host, failure)
        elif self._failure and not failure:
            _logger.info("%s has an address again", self._host)
        self._failure = failure


def resolve(host: str) -> frozenset[str]:
    """Return the IPv4 addresses of a name, or those of IPv6 where it has no other.

    Raises:
        OSError: the name is unknown, or nobody can say.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    family = socket.AF_INET if any(each[0] == socket.AF_INET for each in found) else socket.AF_INET6
    return frozenset(str(each[4][0]) for each in found if each[0] == family)
