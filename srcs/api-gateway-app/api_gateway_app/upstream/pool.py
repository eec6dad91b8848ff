"""Kept-alive connections to one upstream.

http.client on purpose: with this little around it, it carries clearly more requests per second than
urllib3 (measured: see the project's notes), and a proxy needs nothing of what urllib3 adds.
"""

from __future__ import annotations

import http.client
import select
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 1.0
# Not for ever: a name can point to another address by now.
MAXIMUM_AGE_SECONDS: Final = 60.0

# RFC 9110, section 9.2.2: doing it twice is the same as doing it once.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class UpstreamUnreachable(Exception):
    """No connection, or it broke before the answer began."""


class UpstreamTimeout(Exception):
    """The upstream is connected but does not answer in time."""


class Exchange:
    """One request and its answer; `finish` or `abandon` must follow."""

    def __init__(
        self, pool: ConnectionPool, connection: _Connection, response: http.client.HTTPResponse
    ) -> None:
        self._pool = pool
        self._connection = connection
        self.response = response

    def finish(self) -> None:
        """Give the connection back; the answer has been read to its end."""
        if self.response.will_close or not self.response.isclosed():
            self.abandon()
        else:
            self._pool.give_back(self._connection)

    def abandon(self) -> None:
        """Close the connection, in the middle of the answer too."""
        self.response.close()
        self._connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection that knows its age, and how to tell that the other side has closed it."""

    def __init__(self, host: str, port: int, read_seconds: float) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._read_seconds = read_seconds
        self.made_at = time.monotonic()
        self.is_used = False

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self._read_seconds)

    def is_dropped(self) -> bool:
        """Say whether the idle connection is of no use: closed by the other side, or too old."""
        if self.sock is None or time.monotonic() - self.made_at > MAXIMUM_AGE_SECONDS:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        # An idle connection has nothing to say: what can be read is its end.
        return bool(poll.poll(0))


class ConnectionPool:
    """Kept-alive connections to the server at `url`, as many as are in use at the same time.

    Args:
        url: such as http://inventory-app:8080.
        size: how many idle connections are kept.
        read_seconds: longest silence of the upstream while we wait for its answer or the rest of it.
    """

    def __init__(self, url: str, size: int, read_seconds: float) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        self._prefix = parts.path
        self._size = size
        self._read_seconds = read_seconds
        self._idle: deque[_Connection] = deque()
        self._lock = threading.Lock()
        self._host_header = parts.netloc

    def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None
    ) -> Exchange:
        """Send a request and return when the head of its answer is there.

        A request that a kept-alive connection swallowed, because the upstream closed it at that
        moment, is sent once more on a new connection, if doing it twice does no harm.

        Args:
            method: any method.
            target: path and query, percent-encoded.
            headers: end-to-end headers; Host and Content-Length are added.
            body: the whole body, None for no body.

        Raises:
            UpstreamUnreachable: see there.
            UpstreamTimeout: see there.
        """
        fields = list(headers)
        connection = self._take()
        try:
            return self._send(connection, method, target, fields, body)
        except _ClosedWhileIdle as error:
            if method not in _IDEMPOTENT:
                raise UpstreamUnreachable(str(error)) from error
            return self._send(self._connection(), method, target, fields, body)

    def give_back(self, connection: _Connection) -> None:
        """Keep `connection` for the next request."""
        with self._lock:
            if len(self._idle) < self._size:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                # The one used last is the least likely to have been closed.
                connection = self._idle.pop()
            if not connection.is_dropped():
                return connection
            connection.close()
        return self._connection()

    def _connection(self) -> _Connection:
        return _Connection(self._host, self._port, self._read_seconds)

    def _send(
        self,
        connection: _Connection,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
    ) -> Exchange:
        is_reused = connection.is_used
        connection.is_used = True
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as error:
            connection.close()
            # One that does not even answer to a connect is down, or its machine is.
            raise UpstreamUnreachable(str(error)) from error
        try:
            connection.putrequest(method, self._prefix + target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self._host_header)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeout(f"no answer within {self._read_seconds:g} s") from error
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            closed = isinstance(error, http.client.RemoteDisconnected | ConnectionError)
            if is_reused and closed:
                raise _ClosedWhileIdle(str(error)) from error
            raise UpstreamUnreachable(str(error) or type(error).__name__) from error
        return Exchange(self, connection, response)


class _ClosedWhileIdle(Exception):
    """The upstream closed a kept-alive connection just when it was used again."""
