"""Which replica of an app gets the next request.

The one with the fewest requests in hand of those in the best state, in turns where several have the same.
A state orders and never forbids: where no replica is ready, those that are not are tried all the same.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum
from http import HTTPStatus
from typing import Final

from api_gateway_app.metrics import UPSTREAM_ADDRESS_REQUESTS, UPSTREAM_ADDRESSES_IN_ROTATION
from api_gateway_app.upstream.connection import (
    Connection,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_logger = logging.getLogger(__name__)


class State(IntEnum):
    """What is known of a replica: the first is in rotation; of the others, a lower one is tried first."""

    READY = 0
    # It serves for some seconds more.
    DRAINING = 1
    # It answers, but a dependency of it is missing.
    UNREADY = 2
    # Found, but never heard of.
    NEW = 3
    FAILED = 4


class Address:
    """One replica. All but the events belongs to its `Rotation`, under its lock."""

    def __init__(self, upstream: str, host: str) -> None:
        self.host = host
        self.state = State.NEW
        self.left_at = 0.0
        self.idle: list[Connection] = []
        self.busy: set[Exchange] = set()
        # Set when it leaves the rotation; whoever probes it clears it.
        self.has_left = threading.Event()
        self.is_gone = threading.Event()
        self.answered: Final = UPSTREAM_ADDRESS_REQUESTS.labels(upstream, host, "answered")
        self.failed: Final = UPSTREAM_ADDRESS_REQUESTS.labels(upstream, host, "failed")
        self.in_rotation: Final = UPSTREAM_ADDRESSES_IN_ROTATION.labels(upstream, host)
        self.in_rotation.set(0)


class Exchange:
    """One request to one replica, and its answer; `finish`, `abandon` or `fail` must follow.

    Attributes:
        response: the answer, after `send`.
        may_be_cut: whether the request may be broken off if the replica hangs: nobody has got any of the
            answer, and it can be asked of another.
    """

    response: http.client.HTTPResponse

    def __init__(
        self, rotation: Rotation, address: Address, connection: Connection, *, may_be_cut: bool
    ) -> None:
        self._rotation = rotation
        self._is_over = False
        self.address = address
        self.state_before = address.state
        self.connection = connection
        self.is_reused = connection.is_used
        self.may_be_cut = may_be_cut

    def send(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
        seconds: float | None,
    ) -> None:
        """Send the request and wait for the head of its answer; see `Connection.exchange`."""
        self.response = self.connection.exchange(method, target, headers, body, seconds)
        if self.response.will_close:
            self._rotation.judge(self.address, State.DRAINING, "it closes its connections")

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes of the answer; fewer only at its end, where the answer is closed.

        Raises:
            UpstreamFailed: the answer stopped or broke off; the exchange is over.
        """
        if self.response.isclosed():
            return b""
        try:
            data = self.response.read(size)
        except TimeoutError as error:
            raise self._failed(UpstreamTimeout("it stopped in the middle of its answer")) from error
        except (http.client.HTTPException, OSError) as error:
            raise self._failed(UpstreamUnreachable("it broke off in the middle of its answer")) from error
        if len(data) < size and self.response.length:
            raise self._failed(UpstreamUnreachable("it broke off in the middle of its answer"))
        return data

    def finish(self) -> None:
        """Give the connection back; the answer has been read to its end."""
        if self.response.will_close or not self.response.isclosed():
            self.abandon()
        elif self._ends():
            self.connection.rest()
            self._rotation.give_back(self, self.connection)
            self.address.answered.inc()

    def abandon(self) -> None:
        """Close the connection, in the middle of the answer too; the replica is not to blame."""
        if self._ends():
            self._rotation.give_back(self, None)
            self._close()
            if hasattr(self, "response"):
                self.address.answered.inc()

    def fail(self, error: UpstreamFailed) -> None:
        """Close the connection, and take the replica out of rotation."""
        if self._ends():
            self._rotation.give_back(self, None)
            self._close()
            self.address.failed.inc()
            self._rotation.judge(self.address, State.FAILED, str(error))

    def _failed(self, error: UpstreamFailed) -> UpstreamFailed:
        self.fail(error)
        return error

    def _ends(self) -> bool:
        was_over, self._is_over = self._is_over, True
        return not was_over

    def _close(self) -> None:
        if hasattr(self, "response"):
            self.response.close()
        self.connection.close()


class Rotation:
    """The replicas of one app, their states and connections.

    Args:
        upstream: the app's name, for logs and metrics.
        port: the port of all replicas.
        size: how many idle connections are kept to each.
        read_seconds: see `Connection`.
    """

    def __init__(self, upstream: str, port: int, size: int, read_seconds: float) -> None:
        self._upstream = upstream
        self._port = port
        self._size = size
        self._read_seconds = read_seconds
        self._lock = threading.Lock()
        # Those that were chosen longest ago come first.
        self._addresses: list[Address] = []
        self._confirmed_at = 0.0

    def take(self, without: Collection[Address] = (), *, may_be_cut: bool = False) -> Exchange | None:
        """Choose a replica, and a connection to it, for one request.

        Args:
            without: replicas that this request has been tried at.
            may_be_cut: see `Exchange`.

        Returns:
            None if there is no other.
        """
        while True:
            with self._lock:
                address = self._choose(without)
                if address is None:
                    return None
                # The one used last is the least likely to have been closed.
                connection = (
                    address.idle.pop()
                    if address.idle
                    else Connection(address.host, self._port, self._read_seconds)
                )
                exchange = Exchange(self, address, connection, may_be_cut=may_be_cut)
                address.busy.add(exchange)
            if not exchange.is_reused or not connection.is_dropped():
                return exchange
            self.give_back(exchange, None)
            connection.close()

    def _choose(self, without: Collection[Address]) -> Address | None:
        best = None
        best_rank = (0, 0)
        for address in self._addresses:
            rank = (address.state, len(address.busy))
            if (best is None or rank < best_rank) and address not in without:
                best, best_rank = address, rank
        if best is not None and best is not self._addresses[-1]:
            self._addresses.remove(best)
            self._addresses.append(best)
        return best

    def give_back(self, exchange: Exchange, connection: Connection | None) -> None:
        """End an exchange; keep its connection, if there is one, for the next."""
        address = exchange.address
        # One that was tried although it had failed, or was new.
        proves_itself = (
            exchange.state_before >= State.NEW
            and connection is not None
            and exchange.response.status < HTTPStatus.INTERNAL_SERVER_ERROR
        )
        with self._lock:
            address.busy.discard(exchange)
            if proves_itself and address.state >= State.NEW and not address.is_gone.is_set():
                self._set(address, State.READY, "it answers")
            if connection is not None and address.state is State.READY and len(address.idle) < self._size:
                address.idle.append(connection)
                connection = None
        if connection is not None:
            connection.close()

    def judge(self, address: Address, state: State, reason: str) -> None:
        """Note what has been seen of a replica.

        One that had left does not come back before it `is_confirmed`.
        """
        idle: list[Connection] = []
        with self._lock:
            if address.is_gone.is_set() or (state is State.READY and not self.is_confirmed(address)):
                return
            if state is not address.state:
                self._set(address, state, reason)
            if state is not State.READY:
                address.left_at = time.monotonic()
                idle, address.idle = address.idle, []
        for connection in idle:
            connection.close()

    def is_confirmed(self, address: Address) -> bool:
        """Say whether the name server has named a replica since it was last seen to be away.

        After the end of a container its address can be another's.
        """
        return self._confirmed_at >= address.left_at

    def cut(self, address: Address) -> None:
        """Break off what a replica that hangs has in hand and another can be asked, if there is one."""
        with self._lock:
            if not any(other.state is State.READY for other in self._addresses if other is not address):
                return
            hanging = [exchange.connection for exchange in address.busy if exchange.may_be_cut]
        for connection in hanging:
            connection.cut()

    def replace(self, hosts: Collection[str], asked_at: float) -> list[Address]:
        """Take what the name server says, asked at `asked_at`; returns the replicas that are new."""
        with self._lock:
            self._confirmed_at = asked_at
            known = {address.host for address in self._addresses}
            new = [Address(self._upstream, host) for host in sorted(set(hosts) - known)]
            gone = [address for address in self._addresses if address.host not in hosts]
            self._addresses = [address for address in self._addresses if address.host in hosts] + new
        self._forget(gone, "it has ended")
        for address in new:
            _logger.info("%s has a replica at %s", self._upstream, address.host)
        return new

    def forget_failed(self) -> None:
        """Forget the replicas that failed: the name server does not answer, and cannot say whose they are."""
        with self._lock:
            gone = [address for address in self._addresses if address.state is State.FAILED]
            self._addresses = [address for address in self._addresses if address not in gone]
        self._forget(gone, "nobody knows it any more")

    def states(self) -> Mapping[str, State]:
        """Return the state of each replica by its address."""
        with self._lock:
            return {address.host: address.state for address in self._addresses}

    def close(self) -> None:
        """Forget all replicas."""
        with self._lock:
            gone, self._addresses = self._addresses, []
        self._forget(gone, "the gateway ends")

    def _forget(self, addresses: Iterable[Address], reason: str) -> None:
        for address in addresses:
            with self._lock:
                address.is_gone.set()
                self._set(address, State.FAILED, reason)
                idle, address.idle = address.idle, []
            for connection in idle:
                connection.close()

    def _set(self, address: Address, state: State, reason: str) -> None:
        """Change a state, under the lock."""
        was_ready = address.state is State.READY
        address.state = state
        if state is State.READY:
            address.in_rotation.set(1)
            _logger.info("%s at %s is in rotation: %s", self._upstream, address.host, reason)
        elif was_ready:
            address.in_rotation.set(0)
            is_trouble = state is State.FAILED and not address.is_gone.is_set()
            level = logging.WARNING if is_trouble else logging.INFO
            _logger.log(level, "%s at %s is out of rotation: %s", self._upstream, address.host, reason)
        if state is not State.READY:
            address.has_left.set()
