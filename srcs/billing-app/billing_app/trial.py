"""Trying a piece of work in a process of its own, to learn whether it ends the process.

The parent survives what the work does, and sees how the child ended. Only what the child itself can
have caused counts against the work. Whoever kills the app, or the machine, ends the parent too, and
then nobody is left to count; a SIGKILL of the child alone may come from anybody, and says nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final

# What one message may cost: far more than any order does.
CPU_SECONDS: Final = 5
MEMORY_BYTES: Final = 64 * 1024 * 1024
# Longer than a database that hangs is waited for.
WALL_SECONDS: Final = 30
_TICK_SECONDS: Final = 0.5
_UNDECIDED_CODE: Final = os.EX_TEMPFAIL
_FAILED_CODE: Final = os.EX_SOFTWARE
# Sent by people and by the kernel's memory killer. The child's own limits make sure that its memory and
# time end it in another way.
_FOREIGN_SIGNALS: Final = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSTOP}
)


class Undecided(Exception):
    """The work could not be tried, for a reason outside of it."""


@dataclass(frozen=True)
class Crash:
    """How the work ended its process, as the end of the sentence "the process …"."""

    how: str


def try_alone(work: Callable[[], None], tick: Callable[[], None]) -> Crash | None:
    """Do `work` in a forked process, with limits for time and memory.

    Args:
        work: what to try. It must leave alone the connections it inherits; it raises `Undecided` where
            it cannot be tried at the moment.
        tick: called about twice a second while waiting.

    Returns: None if it came to its end, else how it ended the process.
    Raises: Undecided.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, sender), name="trial", daemon=False)
    process.start()
    sender.close()
    try:
        deadline = time.monotonic() + WALL_SECONDS
        while not wait([process.sentinel], _TICK_SECONDS):
            tick()
            if time.monotonic() > deadline:
                raise Undecided(f"it took longer than {WALL_SECONDS} s")
        process.join()
        said = receiver.recv() if receiver.poll() else ""
    except EOFError:
        said = ""
    finally:
        receiver.close()
        if process.is_alive():
            process.kill()
        process.join()
    return _verdict(process.exitcode, said)


def _verdict(code: int | None, said: str) -> Crash | None:
    if code == os.EX_OK:
        return None
    if code is None or code == _UNDECIDED_CODE:
        raise Undecided(said or "it said no more")
    if code >= 0:
        return Crash(f"failed with {said}" if said else f"ended itself with the code {code}")
    if -code in _FOREIGN_SIGNALS:
        raise Undecided(f"somebody sent it the signal {signal.Signals(-code).name}")
    return Crash(f"was ended by the signal {signal.Signals(-code).name}")


def _run(work: Callable[[], None], sender: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # No file of what the process had in memory: it may be large, and holds passwords.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    memory = _private_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        work()
    except Undecided as reason:
        sender.send(str(reason))
        os._exit(_UNDECIDED_CODE)
    except BaseException as error:  # noqa: BLE001 (whatever it is, it would end the app)
        sender.send(type(error).__name__)
        os._exit(_FAILED_CODE)
    # Without Python's own end: what it would close belongs to the parent.
    os._exit(os.EX_OK)


def _private_bytes() -> int:
    """Return what RLIMIT_DATA counts (proc(5): VmData)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmData:" in line]
    return int(line.split()[1]) * 1024
