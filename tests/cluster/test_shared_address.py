"""One address for all gateways: a machine whose gateway answers has it (roles/keepalived)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import requests
from tests.cluster.losses import ADDRESSES, bring_back, lose
from tests.cluster.swarm import GATEWAY, MACHINES, Swarm, others
from tests.library.support import wait_until
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(900)

ADDRESS = "10.205.0.100"
URL = f"http://{ADDRESS}:3000"
UNIT = "play-with-containers-keepalived"
# Longer than a machine needs to take the address from another one.
SETTLE_SECONDS = 10
Absence = Callable[[Swarm, str], AbstractContextManager[None]]


def holders(swarm: Swarm, machines: tuple[str, ...] = MACHINES) -> list[str]:
    """Which of these machines have the address."""
    return [machine for machine in machines if swarm.run(f"ip -oneline address show to {ADDRESS}", machine)]


def answers() -> bool:
    try:
        return requests.get(f"{URL}/api/movies", params={"limit": 1}, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def has_it_without_the_others(swarm: Swarm, machine: str) -> None:
    """Check that a machine's keepalived works: it has the address when those of the others are stopped."""
    try:
        for other in others(machine):
            swarm.run(f"systemctl stop {UNIT}", other)
        wait_until(lambda: holders(swarm) == [machine], f"{machine} has the address", 15)
        wait_until(answers, f"{machine}'s gateway answers at it", 15)
    finally:
        for other in others(machine):
            swarm.run(f"systemctl start {UNIT}", other)


@contextmanager
def unplugged(swarm: Swarm, machine: str) -> Iterator[None]:
    interface = swarm.run(f"ip -oneline -4 address show to {ADDRESSES[machine]} | cut -d' ' -f2", machine)
    swarm.run(f"ip link set {interface} down", machine)
    try:
        yield
    finally:
        swarm.run(f"ip link set {interface} up", machine)


@contextmanager
def frozen(_swarm: Swarm, machine: str) -> Iterator[None]:
    lose(machine, "frozen")
    try:
        yield
    finally:
        bring_back(machine, "frozen")


def test_one_machine_has_the_address_and_serves_at_it(swarm: Swarm, operator: Operator) -> None:
    # A machine that Docker has cut off and connected again has another name for its interface.
    operator.run("site.yml")
    swarm.wait_until_well(120)
    wait_until(lambda: len(holders(swarm)) == 1, "one machine has the address")
    assert answers()


def test_another_machine_has_the_address_when_the_first_is_lost(swarm: Swarm) -> None:
    swarm.wait_until_well(120)
    [lost] = holders(swarm)
    lose(lost, "killed")
    try:
        killed = time.monotonic()
        wait_until(lambda: len(holders(swarm, others(lost))) == 1, "another machine has the address", 15)
        moved = time.monotonic() - killed
        wait_until(answers, "a gateway answers at the address", 60)
        answered = time.monotonic() - killed
        new = holders(swarm, others(lost))
    finally:
        bring_back(lost, "killed")
    print(f"The address moved after {moved:.1f} s; reads were answered at it after {answered:.1f} s.")
    swarm.wait_until_well(120)
    time.sleep(SETTLE_SECONDS)
    assert holders(swarm) == new
    has_it_without_the_others(swarm, lost)


@pytest.mark.parametrize("how", [frozen, unplugged])
def test_one_machine_has_the_address_after_the_holder_was_away(swarm: Swarm, how: Absence) -> None:
    swarm.wait_until_well(120)
    [away] = holders(swarm)
    with how(swarm, away):
        wait_until(lambda: len(holders(swarm, others(away))) == 1, "another machine has the address", 15)
    swarm.wait_until_well(120)
    wait_until(lambda: len(holders(swarm)) == 1, "one machine has the address", 30)
    wait_until(answers, "a gateway answers at the address")
    has_it_without_the_others(swarm, away)


def test_a_machine_whose_gateway_fails_gives_the_address_away(swarm: Swarm) -> None:
    swarm.wait_until_well(120)
    [holder] = holders(swarm)
    tasks = f"docker ps --quiet --filter label=com.docker.swarm.service.name={GATEWAY}"
    swarm.run(f"docker pause $({tasks})", holder)
    try:
        wait_until(
            lambda: holder not in holders(swarm) and answers(), "another gateway answers at the address", 30
        )
    finally:
        # The Swarm may have put another one in its place.
        swarm.run(f"docker unpause $({tasks} --filter status=paused) || true", holder)
    swarm.wait_until_well(120)


def test_the_address_goes_with_its_setting_and_comes_back(swarm: Swarm, operator: Operator) -> None:
    taken = operator.run("site.yml", platform_shared_address="")
    assert "platform_shared_address is empty" in taken.text
    assert holders(swarm) == []
    assert {swarm.run(f"systemctl is-active {UNIT} || true", machine) for machine in MACHINES} == {"inactive"}
    operator.run("site.yml")
    assert len(holders(swarm)) == 1
    swarm.run(f"systemctl stop {UNIT}", MACHINES[2])
    assert "keepalived does not run" in operator.run("site.yml").text
    assert operator.run("site.yml").changes == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.205.0.100", "with the length of its prefix"),
        ("10.205.0.256/24", "with the length of its prefix"),
        ("10.205.0.12/24", "a machine's own address"),
    ],
)
def test_a_wrong_address_is_refused(operator: Operator, address: str, reason: str) -> None:
    operator.refused("site.yml", reason, platform_shared_address=address)
