"""The disk of the machine with the primary is full: each accepted order is stored exactly once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cluster.losses import LOST_SECONDS
from tests.cluster.ordering import Ordering
from tests.cluster.swarm import BROKER, DATABASES, MACHINES, STORE, Swarm, others
from tests.faults.catalogue import full, small_volume
from tests.faults.platform_under_test import Platform
from tests.library.support import wait_until

pytestmark = pytest.mark.timeout(1800)

FULL = MACHINES[1]
OTHER = others(FULL)[0]
ORDERS = "billing-database"
# Room for what they write until the disk is filled up; the broker takes no message with less than 500 MB.
SPARE_MIB = {**dict.fromkeys(DATABASES, 80), STORE: 24, BROKER: 700}


def make_primary(swarm: Swarm, machine: str) -> None:
    """Stop the other servers of billing-database until this machine has the primary, and start them again."""
    primary = swarm.primary(ORDERS)
    if primary == machine:
        return
    [third] = set(MACHINES) - {machine, primary}
    try:
        swarm.run(f"docker stop {ORDERS}", third)
        wait_until(
            lambda: swarm.members(ORDERS, machine).get(machine) == "Sync Standby",
            f"{machine} has all that is committed",
            60,
        )
        swarm.run(f"docker stop {ORDERS}", primary)
        wait_until(lambda: swarm.primary(ORDERS, machine) == machine, f"{machine} has the primary", 60)
    finally:
        for other in (primary, third):
            swarm.run(f"docker start {ORDERS}", other)


@pytest.mark.parametrize("containers", [DATABASES, (*DATABASES, STORE, BROKER)], ids=["databases", "all"])
def test_a_full_disk_loses_no_order(
    swarm: Swarm, env: Mapping[str, str], tmp_path: Path, containers: tuple[str, ...]
) -> None:
    swarm.wait_until_well(120)
    platform = Platform(FULL, env)
    with ExitStack() as volumes:
        directories = [
            volumes.enter_context(small_volume(name, name, SPARE_MIB[name], platform)) for name in containers
        ]
        swarm.wait_until_well(180)
        make_primary(swarm, FULL)
        swarm.wait_until_well(180)
        with Ordering(swarm, tmp_path, "full disk") as ordering:
            before = ordering.stored(OTHER)
            with ExitStack() as disks:
                for directory in directories:
                    disks.enter_context(full(directory, platform))
                time.sleep(LOST_SECONDS)
                stored = ordering.stored(OTHER)
                kept = swarm.kept()
                if BROKER in containers:
                    # One broker without room has all of them take no message.
                    assert kept > 500
                else:
                    # What docs/swarm.md says of it.
                    swarm.run(f"docker stop {ORDERS}", FULL)
                    wait_until(
                        lambda: swarm.primary(ORDERS, OTHER) not in {"", FULL},
                        "another server takes over",
                        60,
                    )
                    wait_until(lambda: ordering.stored(OTHER) > stored, "orders are stored", 60)
            again = time.monotonic()
            swarm.run(f"docker start {ORDERS}", FULL)
            swarm.wait_until_well(180)
            well = time.monotonic() - again
        figures = ordering.count()
    print(
        f"{dict(figures)}; while the disk was full, {stored - before} were stored and {kept} kept; "
        f"well {well:.0f} s after there was room"
    )
