"""A machine is lost, in each way, and comes back: every order that was accepted is stored exactly once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.cluster.swarm import MACHINES, NETWORK, Swarm, next_gateway, outside
from tests.faults.verdict import Excuse, judge
from tests.library.order_load import OrderLoad
from tests.library.orders import Journal

pytestmark = pytest.mark.timeout(900)

LOST_SECONDS = 20
ADDRESSES = {machine: f"10.205.0.{number}" for number, machine in enumerate(MACHINES, start=11)}


def lose(machine: str, how: str) -> None:
    if how == "cut off":
        outside("network", "disconnect", NETWORK, machine)
    else:
        outside({"killed": "kill", "frozen": "pause", "restarted": "stop"}[how], machine)


def bring_back(machine: str, how: str) -> None:
    if how == "cut off":
        outside("network", "connect", "--ip", ADDRESSES[machine], NETWORK, machine)
    else:
        outside({"frozen": "unpause"}.get(how, "start"), machine)


@pytest.mark.parametrize("how", ["killed", "frozen", "cut off", "restarted"])
@pytest.mark.parametrize("machine", MACHINES[1:])
def test_a_lost_machine_loses_no_order(swarm: Swarm, tmp_path: Path, machine: str, how: str) -> None:
    swarm.wait_until_well(120)
    run = f"{how.replace(' ', '-')}-{machine[-1]}-{int(time.time())}"
    journal = Journal(tmp_path / "journal.tsv", run)
    with OrderLoad(journal, next_gateway(), rate=40):
        time.sleep(5)
        began = time.monotonic()
        lose(machine, how)
        try:
            time.sleep(LOST_SECONDS)
        finally:
            bring_back(machine, how)
        back = time.monotonic()
        swarm.wait_until_well(120)
        well = time.monotonic()
        time.sleep(5)
    journal.close()
    swarm.wait_until_stored(120)
    verdict = judge(
        journal.orders,
        swarm.first.rows(run),
        swarm.first.page().look_at("billing_dead_letter"),
        [Excuse(began - 1, well + 1)],
        run=run,
    )
    print(f"{machine} {how}: {dict(verdict.figures)}, well {well - back:.0f} s after it was back")
    assert verdict.findings == {}, "\n".join(verdict.lines())
    assert verdict.figures["accepted"] > 500
