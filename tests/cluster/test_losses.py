"""A machine is lost, in each way, or emptied, and comes back: each accepted order is stored exactly once."""

from __future__ import annotations

import os
import random
import time
from itertools import product
from pathlib import Path

import pytest
from tests.cluster.losses import LOST_SECONDS, bring_back, lose
from tests.cluster.ordering import Ordering
from tests.cluster.swarm import BROKER, MACHINES, Swarm, others
from tests.library.support import wait_until

pytestmark = pytest.mark.timeout(900)

IN_TURN = list(product(MACHINES, ["killed", "frozen", "cut off", "restarted"]))
# `make test-cluster LOSSES=17` loses 17 more machines.
AT_RANDOM = random.choices(IN_TURN, k=int(os.environ.get("LOSSES") or 0))  # noqa: S311
# The machine of the broker that decides for the queue.
LEADERS = [("the leader's", "killed"), ("the leader's", "cut off")]


@pytest.mark.parametrize(("machine", "how"), [*IN_TURN, *LEADERS, (MACHINES[1], "emptied"), *AT_RANDOM])
def test_a_lost_machine_loses_no_order(swarm: Swarm, tmp_path: Path, machine: str, how: str) -> None:
    swarm.wait_until_well(120)
    if machine not in MACHINES:
        machine = swarm.of_queue("leader").removeprefix(f"rabbit@{BROKER}-")
    other = others(machine)[0]
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
