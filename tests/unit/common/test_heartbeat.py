"""Heartbeats, read by other processes."""

from __future__ import annotations

import multiprocessing
import os
import time

from platform_common.heartbeat import Heartbeat


def _beat_without_end(heartbeat: Heartbeat) -> None:
    while True:
        heartbeat.beat()


def test_before_the_first_beat_there_is_no_process_and_no_age() -> None:
    heartbeat = Heartbeat()
    assert (heartbeat.process_id(), heartbeat.age()) == (None, None)


def test_a_reader_never_sees_half_a_beat() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat()
    context = multiprocessing.get_context("fork")
    other = context.Process(target=_beat_without_end, args=(heartbeat,), daemon=True)
    other.start()
    try:
        ages = []
        until = time.monotonic() + 1
        while time.monotonic() < until:
            ages.append(heartbeat.age())
            assert heartbeat.process_id() in {os.getpid(), other.pid}
    finally:
        other.kill()
        other.join()
    # An empty time would be as old as the machine.
    assert None not in ages
    assert max(age for age in ages if age is not None) < 10
