"""What runs where, and how: three machines are one platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

import pytest
import requests
from tests.cluster.swarm import GATEWAY, MACHINES, REPLICATED, Swarm, address


def test_all_machines_are_managers_of_one_swarm(swarm: Swarm) -> None:
    states = swarm.run("docker node ls --format '{{ .Hostname }} {{ .Status }} {{ .ManagerStatus }}'")
    assert sorted(line.split()[0] for line in states.splitlines()) == list(MACHINES)
    assert sorted(line.split(maxsplit=1)[1] for line in states.splitlines()) == [
        "Ready Leader",
        "Ready Reachable",
        "Ready Reachable",
    ]


@pytest.mark.parametrize("service", [*REPLICATED, GATEWAY])
def test_each_machine_has_one_task_of_each_app(swarm: Swarm, service: str) -> None:
    assert swarm.running(service) == dict.fromkeys(MACHINES, 1)


@pytest.mark.usefixtures("swarm")
def test_each_gateway_serves_what_another_took(env: Mapping[str, str]) -> None:
    headers = {"Authorization": f"Bearer {env['API_TOKEN']}"} if env.get("API_TOKEN") else {}
    body = {"title": "On three machines", "description": ""}
    made = requests.post(f"{address(MACHINES[2])}/api/movies", json=body, headers=headers, timeout=10).json()
    for machine in MACHINES:
        movie = requests.get(f"{address(machine)}/api/movies/{made['id']}", timeout=10)
        assert movie.json()["title"] == "On three machines"
    url = f"{address(MACHINES[0])}/api/movies/{made['id']}"
    assert requests.delete(url, headers=headers, timeout=10).status_code == 200


def test_a_key_stands_for_one_order_at_all_gateways(swarm: Swarm, env: Mapping[str, str]) -> None:
    swarm.wait_until_well(120)
    headers = {"Idempotency-Key": str(uuid4())}
    if env.get("API_TOKEN"):
        headers["Authorization"] = f"Bearer {env['API_TOKEN']}"
    order = {"user_id": "swarm", "number_of_items": 1, "total_amount": "1"}
    gateways = [f"{address(machine)}/api/billing" for machine in MACHINES]
    same = [requests.post(gateway, json=order, headers=headers, timeout=10) for gateway in gateways]
    assert [answer.status_code for answer in same] == [200] * len(MACHINES)
    assert len({answer.json()["order_id"] for answer in same}) == 1
    for gateway in gateways:
        other = requests.post(gateway, json={**order, "number_of_items": 2}, headers=headers, timeout=10)
        assert other.status_code == 422


def test_only_the_gateway_publishes_a_port(swarm: Swarm) -> None:
    published = {
        name: service["Endpoint"].get("Ports", [])
        for name, service in swarm.services().items()
        if name != GATEWAY
    }
    assert not any(published.values())
    [port] = swarm.services()[GATEWAY]["Endpoint"]["Ports"]
    assert (port["PublishedPort"], port["PublishMode"]) == (3000, "host")


def test_tasks_are_hardened(swarm: Swarm) -> None:
    for machine in MACHINES:
        ids = swarm.run("docker ps --quiet --filter label=com.docker.swarm.service.name", machine)
        for task in json.loads(swarm.run(f"docker inspect {' '.join(ids.split())}", machine)):
            limits = task["HostConfig"]
            assert limits["ReadonlyRootfs"], task["Name"]
            assert limits["CapDrop"] == ["ALL"], task["Name"]
            assert not limits["CapAdd"], task["Name"]
            assert limits["Init"], task["Name"]
            assert limits["Memory"] > 0, task["Name"]
            assert task["Config"]["User"] not in ("", "0", "root"), task["Name"]


def test_secrets_are_the_swarms_and_in_no_description(swarm: Swarm, env: Mapping[str, str]) -> None:
    described = json.dumps(swarm.services())
    passwords = [value for name, value in env.items() if "PASS" in name and value]
    assert len(passwords) >= 2
    for password in passwords:
        assert password not in described
    files = swarm.run(
        "docker exec $(docker ps --quiet --filter label=com.docker.swarm.service.name=inventory-app) "
        "ls -ln /run/secrets"
    ).splitlines()[1:]
    assert [line.split()[:4:2] for line in files] == [["-r--------", "10001"]]
