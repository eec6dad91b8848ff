"""Asking each replica how it is, so that a request need not find out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from api_gateway_app.upstream.connection import Connection, UpstreamFailed, UpstreamTimeout
from api_gateway_app.upstream.rotation import Address, Rotation, State
from platform_common.backoff import Backoff
from platform_common.request_context import REQUEST_ID_HEADER

# With the time that an answer takes, less than a replica goes on serving after its signal to stop
# (DRAIN_SECONDS): it is out of rotation before it closes anything.
PROBE_SECONDS: Final = 2.0
# More than an app takes to find out that a dependency does not answer (`platform_common.health`).
ANSWER_SECONDS: Final = 4.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
READY_PATH: Final = "/health/ready"


def start_probing(
    rotation: Rotation,
    address: Address,
    connection: Connection,
    *,
    prefix: str,
    host: str,
    confirm: Callable[[], None],
) -> None:
    """Probe a replica in a thread of its own, for as long as it is known.

    One in rotation is asked every `PROBE_SECONDS`. One that has left is asked after a pause that gets
    longer, with some randomness, until it stays.

    Args:
        rotation: is told what is seen.
        address: the replica.
        connection: to it, for the probes alone.
        prefix: what comes before each path.
        host: the header Host.
        confirm: asks the name server for the replicas once more.
    """
    headers = [("Host", host), (REQUEST_ID_HEADER, "health-check")]

    def probe() -> None:
        try:
            state, reason = _ask(connection, prefix + READY_PATH, headers)
        except UpstreamFailed as error:
            rotation.judge(address, State.FAILED, f"its probe failed: {error}")
            if isinstance(error, UpstreamTimeout):
                rotation.cut(address)
        else:
            if state is State.READY and not rotation.is_confirmed(address):
                confirm()
            rotation.judge(address, state, reason)

    threading.Thread(
        target=_run, args=(address, probe, connection), name=f"probe-{address.host}", daemon=True
    ).start()


def _run(address: Address, probe: Callable[[], None], connection: Connection) -> None:
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    pause = 0.0
    while not address.is_gone.wait(pause):
        address.has_left.clear()
        probe()
        if address.state is not State.READY or address.has_left.wait(PROBE_SECONDS):
            pause = backoff.next_delay()
        else:
            # It has stayed for a while.
            backoff.reset()
            pause = 0.0
    connection.close()


def _ask(connection: Connection, target: str, headers: list[tuple[str, str]]) -> tuple[State, str]:
    """Return what a replica says of itself.

    Raises:
        UpstreamFailed: it says nothing.
    """
    if connection.sock is not None and connection.is_dropped():
        connection.close()
    response = connection.exchange("GET", target, headers, None)
    try:
        body = response.read()
    except TimeoutError as error:
        connection.close()
        raise UpstreamTimeout("its answer stopped half-way") from error
    except OSError as error:
        connection.close()
        raise UpstreamFailed("its answer broke off") from error
    connection.rest()
    if response.status == HTTPStatus.OK:
        return State.READY, "it is ready"
    return _why_not(response.status, body)


def _why_not(status: int, body: bytes) -> tuple[State, str]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict) and document.get("status") == "draining":
        return State.DRAINING, "it is about to stop"
    return State.UNREADY, f"its /health/ready answers {status}"
