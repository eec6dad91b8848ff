"""Sending a request to one of an app's replicas, and to another one where that is safe.

What is safe to send again: everything, as long as no replica can have had the whole request; what changes
nothing (RFC 9110, section 9.2.1); and PUT, whose second answer is the same as the first. Not DELETE,
although it is idempotent: what the first has deleted, the second does not find, and says so to the caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from api_gateway_app.metrics import UPSTREAM_RETRIES
from api_gateway_app.upstream.connection import (
    CONNECT_SECONDS,
    Connection,
    UnusableAnswer,
    UpstreamFailed,
    UpstreamUnreachable,
)
from api_gateway_app.upstream.discovery import Discovery, Resolve, resolve
from api_gateway_app.upstream.probes import ANSWER_SECONDS, start_probing
from api_gateway_app.upstream.rotation import Address, Exchange, Rotation, State

# A request that ends whoever gets it is not handed round.
SENT_AT_MOST: Final = 2
_MAY_BE_REPEATED: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT"})

Result = TypeVar("Result")


class Pool:
    """All replicas that a name stands for, with kept-alive connections to each.

    Args:
        name: the app's name, for logs and metrics.
        url: such as http://inventory-app:8080.
        size: how many idle connections are kept to each replica.
        read_seconds: longest silence of a replica while we wait for its answer or the rest of it; a further
            try has only what the tries before have left of it.
        resolve: gives the addresses of a name.
    """

    def __init__(
        self, name: str, url: str, size: int, read_seconds: float, resolve: Resolve = resolve
    ) -> None:
        parts = urlsplit(url)
        self._port = parts.port or 80
        self._prefix = parts.path
        self._read_seconds = read_seconds
        self._host_header = parts.netloc
        self._retries = UPSTREAM_RETRIES.labels(name)
        self._rotation = Rotation(name, self._port, size, read_seconds)
        self._discovery = Discovery(parts.hostname or "", resolve, self._found, self._rotation.forget_failed)
        self._discovery.start()

    def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
        receive: Callable[[Exchange], Result],
    ) -> Result:
        """Send a request, have its answer received, and return what `receive` makes of it.

        Args:
            method: any method.
            target: path and query, percent-encoded.
            headers: end-to-end headers; Host and Content-Length are added.
            body: the whole body, None for no body.
            receive: takes the answer from the exchange and ends it. If it raises `UpstreamFailed`, nobody
                has got anything of the answer, and the request may be sent again.

        Raises:
            UpstreamUnreachable: see there.
            UpstreamTimeout: see there.
        """
        fields = [("Host", self._host_header), *headers]
        may_be_repeated = method in _MAY_BE_REPEATED
        ends_at = time.monotonic() + self._read_seconds
        seconds: float | None = None
        times_sent = 0
        tried: set[Address] = set()
        forgiven: set[Address] = set()
        exchange = self._first(may_be_cut=may_be_repeated)
        while True:
            try:
                exchange.send(method, self._prefix + target, fields, body, seconds)
                result = receive(exchange)
            except UnusableAnswer:
                exchange.abandon()
                raise
            except UpstreamFailed as error:
                exchange.fail(error)
                self._discovery.ask_again()
                times_sent += error.was_sent
                seconds = ends_at - time.monotonic()
                if error.was_sent and not (may_be_repeated and times_sent < SENT_AT_MOST):
                    raise
                address = exchange.address
                if exchange.is_reused and address not in forgiven:
                    # A kept connection that broke says little about a new one.
                    forgiven.add(address)
                else:
                    tried.add(address)
                another = self._rotation.take(tried, may_be_cut=may_be_repeated) if seconds > 0 else None
                if another is None:
                    raise
                exchange = another
                self._retries.inc()
            except BaseException:
                exchange.abandon()
                raise
            else:
                return result

    def states(self) -> dict[str, State]:
        """Return the state of each known replica by its address."""
        return dict(self._rotation.states())

    def close(self) -> None:
        """End the threads, and close the idle connections."""
        self._discovery.stop()
        self._rotation.close()

    def _first(self, *, may_be_cut: bool) -> Exchange:
        exchange = self._rotation.take(may_be_cut=may_be_cut)
        if exchange is None:
            self._discovery.wait(CONNECT_SECONDS)
            exchange = self._rotation.take(may_be_cut=may_be_cut)
        if exchange is None:
            raise UpstreamUnreachable("its name has no address", was_sent=False)
        return exchange

    def _found(self, hosts: frozenset[str], asked_at: float) -> None:
        for address in self._rotation.replace(hosts, asked_at):
            connection = Connection(address.host, self._port, ANSWER_SECONDS)
            start_probing(
                self._rotation,
                address,
                connection,
                prefix=self._prefix,
                host=self._host_header,
                confirm=lambda: self._discovery.wait(CONNECT_SECONDS),
            )
