"""A machine is lost, in each way, or emptied, and comes back: each accepted order is stored exactly once."""

from __future__ import annotations

import os
import random
import time
from itertools import product
from pathlib import Path

import pytest
from tests.cluster.ordering import Ordering
from tests.cluster.swarm import BROKER, DATABASES, MACHINES, NETWORK, STORE, Swarm, outside
from tests.library.support import wait_until

pytestmark = pytest.mark.timeout(900)

# A lost primary is one for 20 s more.
LOST_SECONDS = 35
ADDRESSES = {machine: f"10.205.0.{number}" for number, machine in enumerate(MACHINES, start=11)}


IN_TURN = list(product(MACHINES, ["killed", "frozen", "cut off", "restarted"]))
# `make test-cluster LOSSES=17` loses 17 more machines.
AT_RANDOM = random.choices(IN_TURN, k=int(os.environ.get("LOSSES") or 0))  # noqa: S311
# What docs/swarm.md says of maintenance.
EMPTY = {
    "before": "docker stop {containers} && docker node update --availability drain {machine}",
    # What the network has not reached yet is started later (roles/swarm).
    "after": "docker node update --availability active {machine} && (docker start {containers} || true)",
}


def empty(machine: str, when: str) -> None:
    command = EMPTY[when].format(machine=machine, containers=" ".join((*DATABASES, BROKER, STORE)))
    outside("exec", machine, "sh", "-c", command)


def lose(machine: str, how: str) -> None:
    if how == "emptied":
        empty(machine, "before")
    elif how == "cut off":
        outside("network", "disconnect", NETWORK, machine)
    else:
        outside({"killed": "kill", "frozen": "pause", "restarted": "stop"}[how], machine)


def bring_back(machine: str, how: str) -> None:
    if how == "emptied":
        empty(machine, "after")
    elif how == "cut off":
        outside("network", "connect", "--ip", ADDRESSES[machine], NETWORK, machine)
    else:
        outside({"frozen": "unpause"}.get(how, "start"), machine)


@pytest.mark.parametrize(("machine", "how"), [*IN_TURN, (MACHINES[1], "emptied"), *AT_RANDOM])
def test_a_lost_machine_loses_no_order(swarm: Swarm, tmp_path: Path, machine: str, how: str) -> None:
    swarm.wait_until_well(120)
    other = next(name for name in MACHINES if name != machine)
    with Ordering(swarm, tmp_path, f"{how} {machine[-1]}") as ordering:
        try:
            lose(machine, how)
            time.sleep(LOST_SECONDS)
            before = ordering.stored(other)
            wait_until(
                lambda: ordering.stored(other) > before, "orders are stored while the machine is away", 30
            )
        finally:
            bring_back(machine, how)
        back = time.monotonic()
        swarm.wait_until_well(120)
        well = time.monotonic()
    figures = ordering.count()
    print(f"{machine} {how}: {dict(figures)}, well {well - back:.0f} s after it was back")


def test_two_lost_machines_lose_no_order(swarm: Swarm, tmp_path: Path) -> None:
    """The gateway that is left keeps the orders: brokers and databases cannot decide any more."""
    swarm.wait_until_well(120)
    with Ordering(swarm, tmp_path, "two lost") as ordering:
        for machine in MACHINES[1:]:
            lose(machine, "killed")
        try:
            time.sleep(LOST_SECONDS)
            kept = swarm.kept_by(MACHINES[0])
        finally:
            for machine in MACHINES[1:]:
                bring_back(machine, "killed")
        swarm.wait_until_well(300)
    print(f"{kept} orders were kept meanwhile: {dict(ordering.count())}")
    assert kept > 500
