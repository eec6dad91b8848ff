"""Clients that stop reading in the middle of an answer, or read it too slowly.

The server waits until the kernel has taken an answer, and knows no timeout for that. The kernel has one:
TCP_USER_TIMEOUT (tcp(7)) ends a connection whose data has been waiting for so long, also for a client
whose window stays closed. Set on the listening socket, it is passed on to every connection that is
accepted there. Whoever takes a little now and then is cut off by the front.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LISTENING_SECONDS: Final = 60.0
ROUND_SECONDS: Final = 0.05
_logger = logging.getLogger(__name__)

STALLED_MILLISECONDS: Final = 30_000
# What lies in the kernel counts as taken by the client. Left alone, the kernel lets that grow to some
# MiB for each connection: minutes of a slow client's time, and memory that nobody has counted.
SEND_BUFFER_BYTES: Final = 64 * 1024


def limit_stalled_clients(port: int, milliseconds: int = STALLED_MILLISECONDS) -> bool:
    """Have connections to `port` of this process end when their client takes nothing for so long.

    The kernel's buffer for what is sent on them is limited, too.

    The server opens the listening socket and tells nobody which one it is: it is found by its port.

    Returns:
        Whether this process listens on `port`.
    """
    found = False
    for listener in _sockets():
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        if is_listening and listener.getsockname()[1] == port:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            found = True
    return found


def limit_stalled_clients_soon(port: int) -> None:
    """Do the same as soon as the server listens, which each worker does after it has loaded the app."""

    def run() -> None:
        deadline = time.monotonic() + LISTENING_SECONDS
        while not limit_stalled_clients(port):
            if time.monotonic() > deadline:
                _logger.error("The server's socket was not found: clients that stop reading are kept.")
                return
            time.sleep(ROUND_SECONDS)

    threading.Thread(target=run, name="limit-stalled-clients", daemon=True).start()


def cut_off(address: str, port: int) -> bool:
    """Break the connection of the client at `address` and `port`, with what is still to be sent.

    A client that takes a byte now and then makes progress in the kernel's eyes, and the server has no
    limit of its own: without this, it would keep a connection and its buffers for hours.

    Returns:
        Whether there was such a connection.
    """
    for connection in _sockets():
        try:
            peer = connection.getpeername()
        except OSError:
            # It listens, or has ended meanwhile.
            continue
        if peer[:2] == (address, port):
            # Closing sends no FIN while others have the socket open; a reset forgets what is unsent.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _sockets() -> Iterator[socket.socket]:
    """Yield this process' internet sockets, each only until the next is asked for."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not stat.S_ISSOCK(entry.stat().st_mode):
                continue
            duplicate = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            # The descriptor of this very listing, or one that another thread has just closed.
            continue
        with duplicate:
            if duplicate.family in {socket.AF_INET, socket.AF_INET6}:
                yield duplicate
