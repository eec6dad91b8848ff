"""The load: clients that order through the published port, at a bounded rate, whatever happens."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Final, Self

import requests
from tests.library.loads import Clients
from tests.library.orders import CUT, Answer, Journal, SentOrder

CLIENTS: Final = 16
ANSWER_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0
# A client with a key gives up at last, so that a run can end; the order is then neither promised nor lost.
RETRY_FOR_SECONDS: Final = 120.0


class OrderLoad(Clients):
    """A number of clients, each with a connection of its own, that share one rate.

    An order without a key is sent once. One with a key is sent again after a 503 or a broken
    connection, until it gets its 200; every tenth of them is sent twice at the same moment.

    Args:
        journal: where everything is put on record.
        address: gives the gateway's URL; asked again after a broken connection, since a node that
            was started again may have got another port.
        rate: orders per second, at most.
    """

    def __init__(self, journal: Journal, address: Callable[[], str], rate: float) -> None:
        super().__init__(CLIENTS)
        self._journal = journal
        self._address = address
        self._interval = 1 / rate
        self._next_at = 0.0

    def __enter__(self) -> Self:
        self._next_at = time.monotonic()
        return super().__enter__()

    def _run(self, _number: int) -> None:
        client = _Client(self._address)
        while self._wait_for_turn():
            order = self._journal.next_order()
            self._order(client, order)
            if order.answers[-1].status == CUT:
                # As a person would, a client whose connection broke waits before the next order.
                self._stop.wait(RETRY_SECONDS)

    def _wait_for_turn(self) -> bool:
        """Wait until another order is due; return whether the load goes on."""
        with self._lock:
            # What could not be sent while clients were held up is not made up for: no burst follows.
            self._next_at = max(self._next_at + self._interval, time.monotonic())
            due = self._next_at
        return not self._stop.wait(due - time.monotonic())

    def _order(self, client: _Client, order: SentOrder) -> None:
        if order.key is not None and order.number % 30 == 0:
            twin = threading.Thread(target=self._send, args=(_Client(self._address), order))
            twin.start()
            self._send(client, order)
            twin.join()
        else:
            self._send(client, order)
        if order.key is None:
            return
        give_up_at = time.monotonic() + RETRY_FOR_SECONDS
        while not order.accepted_ids and time.monotonic() < give_up_at:
            if order.answers[-1].status not in {CUT, 503}:
                return
            # The clients' own patience; they go on retrying when the load is told to stop.
            time.sleep(RETRY_SECONDS)
            self._send(client, order)

    def _send(self, client: _Client, order: SentOrder) -> None:
        self._journal.note(order, client.send(order))


class _Client:
    """One connection to the gateway."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self._url = ""
        self._session = requests.Session()

    def send(self, order: SentOrder) -> Answer:
        sent_at = time.monotonic()
        try:
            self._url = self._url or self._address()
            self._session.trust_env = False
            response = self._session.post(
                f"{self._url}/api/billing",
                json=order.body,
                headers={"Idempotency-Key": order.key} if order.key else {},
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, subprocess.CalledProcessError) as error:
            # CalledProcessError: the node is down and publishes no port.
            self._session.close()
            self._session, self._url = requests.Session(), ""
            return Answer(sent_at, time.monotonic(), CUT, text=type(error).__name__)
        ended_at = time.monotonic()
        if response.status_code == 200:
            return Answer(sent_at, ended_at, 200, order_id=str(response.json()["order_id"]))
        text = " ".join(response.text[:300].split())
        if response.status_code == 503 and "Retry-After" not in response.headers:
            text = f"no Retry-After: {text}"
        return Answer(sent_at, ended_at, response.status_code, text=text)
