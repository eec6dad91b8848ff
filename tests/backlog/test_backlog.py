"""A million orders wait in the broker: it lives, it comes back after a crash, and all of them are stored."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from typing import Final

import pytest
from tests.faults.catalogue import BROKER, BY_NAME, CONSUMER
from tests.faults.conftest import platform, say
from tests.faults.platform_under_test import Platform
from tests.faults.verdict import judge
from tests.library import flood
from tests.library.order_load import OrderLoad
from tests.library.orders import Journal
from tests.library.settings import PATIENCE, ROOT, gateway_url
from tests.library.support import wait_until

__all__ = ["platform", "say"]

ORDERS: Final = int(os.environ.get("BACKLOG_ORDERS") or 1_000_000)
RATE: Final = 30.0
DRAIN_SECONDS: Final = 1800


@pytest.mark.recovery
@pytest.mark.timeout(5400 * PATIENCE)
def test_the_broker_bears_a_backlog_and_every_order_of_it_is_stored_once(
    platform: Platform, say: Callable[[str], None]
) -> None:
    flood_run, port_run = (f"{name}{uuid.uuid4().hex[:6]}" for name in ("flood", "port"))
    journal = Journal(ROOT / ".cache" / "faults" / f"{port_run}.tsv", port_run)
    platform.wait_until_well()
    restarts = _restarts(platform)
    load = OrderLoad(journal, gateway_url, RATE)
    with load:
        with BY_NAME[f"stop and start {CONSUMER}"].broken(platform):
            published = platform.run(flood.command(flood_run, ORDERS))
            say(f"{ORDERS:,} orders for a broker whose consumer is stopped: {published}")
            assert _restarts(platform) == restarts, "the broker was killed under the backlog"
            say(f"memory of the broker: {_memory(platform)}")
            with BY_NAME[f"kill {BROKER}"].broken(platform):
                crashed = time.monotonic()
            wait_until(
                lambda: _health(platform) == "healthy",
                "the broker is healthy again with its backlog",
                seconds=300,
                explain=lambda: _health(platform),
            )
            say(f"killed with the backlog, healthy after {time.monotonic() - crashed:.0f} s")
        drained = time.monotonic()
        wait_until(
            lambda: _stored(platform, flood_run) >= ORDERS,
            f"all {ORDERS:,} orders are stored",
            seconds=DRAIN_SECONDS,
            interval=5,
            explain=lambda: _stored(platform, flood_run),
        )
        say(f"all stored {time.monotonic() - drained:.0f} s after {CONSUMER} was started")
    platform.wait_until_quiet(300)
    journal.close()
    # By its own user each order shows up once, not only by its id.
    assert _stored(platform, flood_run) == _users(platform, flood_run) == ORDERS
    assert platform.node.inspect(BROKER)[BROKER]["State"]["OOMKilled"] is False
    verdict = judge(journal.orders, platform.rows(port_run), [], [], run=port_run)
    say(f"orders through the port meanwhile: {dict(verdict.figures)}")
    assert not verdict.findings, "\n".join(verdict.lines())


def _restarts(platform: Platform) -> int:
    return int(platform.node.inspect(BROKER)[BROKER]["RestartCount"])


def _health(platform: Platform) -> str:
    return str(platform.node.inspect(BROKER)[BROKER]["State"]["Health"]["Status"])


def _memory(platform: Platform) -> str:
    return platform.run(f"docker stats --no-stream --format '{{{{.MemUsage}}}}' {BROKER}")


def _stored(platform: Platform, run: str) -> int:
    return int(platform.run(platform.psql(_count(run))))


def _users(platform: Platform, run: str) -> int:
    return int(platform.run(platform.psql(_count(run, "DISTINCT user_id"))))


def _count(run: str, what: str = "*") -> str:
    return f"SELECT count({what}) FROM orders WHERE user_id LIKE '{run}-%'"  # noqa: S608
