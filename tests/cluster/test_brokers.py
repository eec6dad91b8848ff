"""The brokers of all machines are one cluster, and most of them are enough."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.ordering import Ordering
from tests.cluster.swarm import BROKER, MACHINES, Swarm
from tests.operations.operator import Operator, append, copy_of_sources

pytestmark = pytest.mark.timeout(900)

THIRD = MACHINES[2]
NODES = [f"rabbit@rabbitmq-{machine}" for machine in MACHINES]
# Those of Erlang: its register of names, and its connections.
PORTS = {4369, 25672}
LOST_SECONDS = 30


def queues(swarm: Swarm, machine: str) -> dict[str, tuple[list[str], list[str]]]:
    """Each queue, which brokers keep it, and which of those are there."""
    command = f"docker exec {BROKER} rabbitmqctl --quiet list_queues --formatter json name members online"
    return {
        queue["name"]: (sorted(queue["members"]), sorted(queue["online"]))
        for queue in json.loads(swarm.run(command, machine))
    }


def test_each_broker_keeps_all_queues(swarm: Swarm) -> None:
    for machine in MACHINES:
        assert queues(swarm, machine) == {
            "billing_queue": (NODES, NODES),
            "billing_dead_letter": (NODES, NODES),
        }


@pytest.mark.parametrize("machine", MACHINES)
def test_brokers_reach_each_other_on_the_platforms_network_alone(swarm: Swarm, machine: str) -> None:
    [address] = swarm.run(
        f"docker exec {BROKER} hostname --all-ip-addresses | tr ' ' '\\n' | grep ^10.210", machine
    ).split()
    table = swarm.run(f"docker exec {BROKER} cat /proc/net/tcp /proc/net/tcp6", machine).splitlines()
    listening = [line.split()[1].rpartition(":")[::2] for line in table if line.split()[3] == "0A"]
    by_port = {int(port, 16): at for at, port in listening if int(port, 16) in PORTS and at != "0100007F"}
    reversed_address = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    assert by_port == dict.fromkeys(PORTS, reversed_address)
    assert swarm.run(f"docker port {BROKER}", machine).splitlines() == ["15672/tcp -> 0.0.0.0:15672"]


def test_a_broker_without_its_data_joins_again(swarm: Swarm, operator: Operator, tmp_path: Path) -> None:
    swarm.wait_until_well(120)
    with Ordering(swarm, tmp_path, "without data") as ordering:
        swarm.run(f"docker rm --force {BROKER} && docker volume rm {BROKER}", THIRD)
        operator.run("site.yml")
    ordering.count()
    test_each_broker_keeps_all_queues(swarm)
    assert operator.run("site.yml").changes == []


def test_a_new_version_replaces_one_broker_after_the_other(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    sources = copy_of_sources(tmp_path)
    append(sources, "rabbitmq/rabbitmq.conf", f"# version {uuid.uuid4()}")
    before = {machine: swarm.made(BROKER, machine) for machine in MACHINES}
    with Ordering(swarm, tmp_path, "new version") as ordering:
        operator.run("site.yml", container_build_root=str(sources), operate_service=BROKER)
    ordering.count()
    test_each_broker_keeps_all_queues(swarm)
    assert all(swarm.made(BROKER, machine) != moment for machine, moment in before.items())


def test_brokers_get_another_password_only_all_at_once(
    swarm: Swarm, operator: Operator, tmp_path: Path, env: Mapping[str, str]
) -> None:
    swarm.wait_until_well(120)
    other = tmp_path / ".env"
    values = {**env, "CLUSTER_PASSWORD": uuid.uuid4().hex}
    other.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    changed: dict[str, Any] = {"platform_env_file": str(other)}
    operator.refused("site.yml", "CLUSTER_PASSWORD in .env is another one", **changed)
    for variables in (changed, {}):
        for machine in MACHINES:
            swarm.run(f"docker stop {BROKER}", machine)
        operator.run("site.yml", **variables)
        swarm.wait_until_well(120)
        test_each_broker_keeps_all_queues(swarm)


def test_orders_wait_at_the_gateways_while_two_brokers_are_away(swarm: Swarm, tmp_path: Path) -> None:
    swarm.wait_until_well(120)
    with Ordering(swarm, tmp_path, "two brokers away") as ordering:
        for machine in MACHINES[1:]:
            swarm.run(f"docker kill {BROKER}", machine)
        time.sleep(LOST_SECONDS)
        kept = swarm.kept()
        for machine in MACHINES[1:]:
            swarm.run(f"docker start {BROKER}", machine)
        swarm.wait_until_well(120)
    figures = ordering.count()
    print(f"{kept} orders were kept at the gateways: {dict(figures)}")
    assert kept > 500
