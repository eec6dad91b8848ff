"""What cannot become a Swarm is refused before anything changes; a machine that left joins again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.swarm import MACHINES, Swarm
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(900)

THIRD = MACHINES[2]
FAST_CLOCK = """cat > /usr/local/bin/date <<'END'
#!/bin/sh
echo $(($(/usr/bin/date +%s) + 60))
END
chmod 755 /usr/local/bin/date"""


def test_two_machines_are_refused(operator: Operator) -> None:
    operator.refused("site.yml", "use three or five", swarm_machines=list(MACHINES[:2]))


def test_a_run_without_one_of_them_is_refused(operator: Operator) -> None:
    result = operator.attempt("site.yml", "--limit", f"{MACHINES[0]},{MACHINES[1]}")
    assert result.code != 0
    assert f"{THIRD} does not take part in this run" in result.text


def test_clocks_that_differ_are_refused(swarm: Swarm, operator: Operator) -> None:
    swarm.run(FAST_CLOCK, THIRD)
    try:
        result = operator.refused("site.yml", f"The clocks of {THIRD} and {MACHINES[0]} differ by")
    finally:
        swarm.run("rm /usr/local/bin/date", THIRD)
    assert "what is to be done" not in result.text


def test_the_firewall_of_one_machine_is_refused(operator: Operator) -> None:
    operator.refused(
        "site.yml", "platform_firewall does not know the ports of a Swarm", platform_firewall=True
    )


def test_the_archive_of_one_machine_is_refused(operator: Operator) -> None:
    operator.refused("site.yml", "not yet for those of a Swarm", postgres_archive=["billing-database"])
    operator.refused(
        "ansible/restore.yml",
        "The databases of a Swarm are not archived",
        operate_time="2026-11-24 12:00:00+00",
        confirm="yes",
    )


def test_an_operation_of_one_machine_is_refused(operator: Operator) -> None:
    operator.refused("ansible/stop.yml", "not yet for a Swarm", "docs/swarm.md")


@pytest.fixture
def without_third(swarm: Swarm, operator: Operator) -> Iterator[None]:
    """The third machine has left; in the end it is a part of the Swarm again."""
    swarm.run("docker swarm leave --force", THIRD)
    swarm.run(f"docker node demote {THIRD} && docker node rm --force {THIRD}")
    yield
    operator.run("site.yml")
    swarm.wait_until_well(120)
    assert operator.run("site.yml").changes == []


@pytest.mark.usefixtures("without_third")
def test_a_machine_that_left_joins_again_where_it_can(swarm: Swarm, operator: Operator) -> None:
    swarm.run("docker swarm init --advertise-addr 10.205.0.13", THIRD)
    operator.refused("site.yml", f"{THIRD} is in a Swarm that {MACHINES[0]} is not a manager of")
    swarm.run("docker swarm leave --force", THIRD)

    swarm.run("ip route add blackhole 10.205.0.11/32", THIRD)
    try:
        operator.refused("site.yml", f"{THIRD} does not reach {MACHINES[0]} (10.205.0.11) at port 2377")
    finally:
        swarm.run("ip route delete blackhole 10.205.0.11/32", THIRD)
