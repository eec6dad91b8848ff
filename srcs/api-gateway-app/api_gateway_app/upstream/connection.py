"""One kept-alive connection to an address of an app, and what can go wrong on it.

http.client on purpose: with this little around it, it carries clearly more requests per second than
urllib3 (measured: see the project's notes), and a proxy needs nothing of what urllib3 adds.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections.abc import Iterable
from typing import Final

CONNECT_SECONDS: Final = 1.0
# Half of what the apps' server waits for the next request (`platform_common.server.HEADER_SECONDS`): a
# connection is never used in the moment in which the other side closes it because nobody did.
IDLE_SECONDS: Final = 5.0


class UpstreamFailed(Exception):
    """There is no answer that can be passed on.

    Attributes:
        was_sent: whether the upstream may have the whole request. If not, it has done nothing.
    """

    def __init__(self, reason: str, *, was_sent: bool = True) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class UpstreamUnreachable(UpstreamFailed):
    """No connection, or it broke before the answer was complete."""


class UpstreamTimeout(UpstreamFailed):
    """The upstream is connected but does not answer in time."""


class UnusableAnswer(UpstreamUnreachable):
    """The upstream works, but its answer cannot be passed on; another replica's would be the same."""


class Connection(http.client.HTTPConnection):
    """A connection that knows how long it was idle, and how to tell that the other side has closed it.

    Args:
        host: an IP address.
        port: its port.
        read_seconds: longest silence of the upstream while we wait for its answer or the rest of it.
    """

    def __init__(self, host: str, port: int, read_seconds: float) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._read_seconds = read_seconds
        self._idle_since = 0.0
        self.is_used = False

    def connect(self) -> None:
        """Connect; what is waited for from now on is the upstream's answer."""
        super().connect()
        self.sock.settimeout(self._read_seconds)

    def rest(self) -> None:
        """Say that the connection is idle from now on."""
        self._idle_since = time.monotonic()

    def is_dropped(self) -> bool:
        """Say whether the idle connection is of no use: closed by the other side, or idle for long."""
        if self.sock is None or time.monotonic() - self._idle_since > IDLE_SECONDS:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        # An idle connection has nothing to say: what can be read is its end.
        return bool(poll.poll(0))

    def cut(self) -> None:
        """End it under whoever waits for an answer on it, in another thread."""
        # Closed by that thread in this moment, it has no socket or one that is over.
        if (sock := self.sock) is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def exchange(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
        seconds: float | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request and return when the head of its answer is there.

        Args:
            method: any method.
            target: path and query, percent-encoded.
            headers: end-to-end headers and Host; Content-Length is added.
            body: the whole body, None for no body.
            seconds: longest wait for the head of the answer; None takes `read_seconds`.

        Raises:
            UpstreamUnreachable: see there.
            UpstreamTimeout: see there.
            http.client.InvalidURL: the target cannot be sent.
        """
        self.is_used = True
        was_sent = False
        try:
            if self.sock is None:
                self._connect_or_give_up()
            if seconds is not None:
                self.sock.settimeout(seconds)
            self.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                self.putheader(name, value)
            if body is not None:
                self.putheader("Content-Length", str(len(body)))
            # An error in here: the last of it did not go out, so nobody has the whole request.
            self.endheaders(body)
            was_sent = True
            response = self.getresponse()
            if seconds is not None and self.sock is not None:
                self.sock.settimeout(self._read_seconds)
        except http.client.InvalidURL:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            waited = self._read_seconds if seconds is None else seconds
            raise UpstreamTimeout(f"no answer within {waited:.3g} s", was_sent=was_sent) from error
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise UpstreamUnreachable(str(error) or type(error).__name__, was_sent=was_sent) from error
        return response

    def _connect_or_give_up(self) -> None:
        try:
            self.connect()
        except OSError as error:
            # One that does not even answer to a connect is down, or its machine is: no timeout of an answer.
            raise UpstreamUnreachable(str(error), was_sent=False) from error
