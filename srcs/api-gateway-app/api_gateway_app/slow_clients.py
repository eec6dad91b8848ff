"""Clients that stop reading in the middle of an answer.

A thread waits until the kernel has taken the rest of a large answer, and the server knows no timeout
for that. The kernel has one: TCP_USER_TIMEOUT (tcp(7)) ends a connection whose data has been waiting
for so long, also for a client whose window stays closed. Set on the listening socket, it is passed on
to every connection that is accepted there.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

STALLED_MILLISECONDS: Final = 30_000


def limit_stalled_clients(port: int, milliseconds: int = STALLED_MILLISECONDS) -> bool:
    """Have connections to `port` of this process end when their client takes nothing for so long.

    The server opens the listening socket and tells nobody which one it is: it is found by its port.

    Returns:
        Whether this process listens on `port`.
    """
    found = False
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not stat.S_ISSOCK(entry.stat().st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as candidate:
                is_ours = (
                    candidate.family in {socket.AF_INET, socket.AF_INET6}
                    and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
                    and candidate.getsockname()[1] == port
                )
                if is_ours:
                    candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
                    found = True
        except FileNotFoundError:
            # The descriptor of this very listing, or one that another thread has just closed.
            continue
    return found
