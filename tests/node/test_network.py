from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.library.settings import MANAGEMENT_ADDRESS
from tests.node.node import Node
from tests.node.platform import APPS, NAMES, NETWORK, SERVICES, Service

SSH = 22
AT_ONCE = 8
TIMEOUT_SECONDS = 5
ADDRESSES = {3000: "0.0.0.0", 15672: MANAGEMENT_ADDRESS}  # noqa: S104


def node_container() -> Any:
    """What Docker says about the node, where it is a container of this computer."""
    name = os.environ.get("PLATFORM_NODE")
    if not name:
        pytest.skip(
            "only a node that is a container of this computer is looked at from outside: PLATFORM_NODE"
        )
    done = subprocess.run(
        ["docker", "inspect", "--type", "container", name], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)[0]


def is_open(address: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(TIMEOUT_SECONDS)
        return client.connect_ex((address, port)) == 0


def open_ports(address: str) -> set[int]:
    """Try every TCP port of a machine; a closed one says so at once."""
    ports = range(1, 65536)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda port: is_open(address, port), ports)
        return {port for port, answer in zip(ports, answers, strict=True) if answer}


def test_there_is_one_user_defined_bridge_network_with_exactly_the_six(node: Node) -> None:
    networks = node.everything["networks"]
    assert networks.keys() - {"bridge", "host", "none"} == {NETWORK}
    assert networks[NETWORK]["Driver"] == "bridge"
    assert {member["Name"] for member in networks[NETWORK]["Containers"].values()} == set(NAMES)


def test_it_is_in_that_network_only(node: Node, service: Service) -> None:
    assert set(node.containers[service.name]["NetworkSettings"]["Networks"]) == {NETWORK}


def test_containers_find_each_other_by_name(node: Node) -> None:
    addresses = {
        name: container["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
        for name, container in node.inspect(*NAMES).items()
    }
    for asking, answer in node.in_each(f"getent ahostsv4 {' '.join(NAMES)} | grep STREAM").items():
        found = {line.split()[2]: line.split()[0] for line in answer.splitlines() if len(line.split()) > 2}
        assert found.items() >= {n: a for n, a in addresses.items() if n != asking}.items(), asking


def test_it_listens_on_its_ports(node: Node) -> None:
    targets = [(service.name, port) for service in SERVICES for port in sorted(service.listens_on)]
    script = f"""
import json, socket
closed = []
for name, port in {targets!r}:
    try:
        socket.create_connection((name, port), timeout=5).close()
    except OSError as error:
        closed.append(f"{{name}}:{{port}}: {{error}}")
print(json.dumps(closed))
"""
    assert node.python("inventory-app", script) == []


def test_its_published_ports_are_those_of_the_contract(node: Node, service: Service) -> None:
    published = {
        (port, binding["HostIp"], binding["HostPort"])
        for port, bindings in node.containers[service.name]["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
        # Where the node has IPv6, "0.0.0.0" also means "::".
        if binding["HostIp"] != "::"
    }
    assert published == {(f"{port}/tcp", ADDRESSES[port], str(port)) for port in service.published}


def test_nobody_else_publishes_a_port(node: Node) -> None:
    publishers = {
        container["Name"].removeprefix("/")
        for container in node.everything["containers"]
        if any(container["HostConfig"]["PortBindings"].values())
    }
    assert publishers == {service.name for service in SERVICES if service.published}


def test_the_engine_listens_on_those_ports_only(node: Node) -> None:
    listening = set()
    for line in node.everything["listeners"]:
        if "docker-proxy" in line or '"dockerd"' in line:
            match = re.search(r"(\S+):(\d+)\s", line)
            assert match, line
            if match[1] not in {"[::]", "*"}:
                listening.add((match[1], int(match[2])))
    assert listening == {(address, port) for port, address in ADDRESSES.items()}


def test_from_outside_the_node_has_no_other_open_port() -> None:
    node = node_container()
    found = open_ports(node["NetworkSettings"]["IPAddress"])
    reachable = {port for port, address in ADDRESSES.items() if address == "0.0.0.0"}  # noqa: S104
    # A node that is reached through Docker need not have SSH.
    assert found - {SSH} == reachable


def test_the_computer_that_the_node_is_on_publishes_those_ports_only() -> None:
    published = {
        int(port.partition("/")[0]): {binding["HostIp"] for binding in bindings}
        for port, bindings in node_container()["NetworkSettings"]["Ports"].items()
        if bindings
    }
    assert published.keys() - {SSH} == {3000, 15672}
    for port in published.keys() - {3000}:
        assert published[port] == {"127.0.0.1"}, port


def test_a_neighbour_with_a_route_through_the_node_reaches_no_container(node: Node) -> None:
    policy = node.run("iptables -S FORWARD | head -n 1").strip()
    assert policy == "-P FORWARD DROP"


def test_the_metrics_are_in_the_network_and_count_over_all_workers(node: Node) -> None:
    script = f"""
import json, re, socket, urllib.request
PORTS = {{name: 3000 if name == "api-gateway-app" else 8080 for name in {APPS!r}}}

def get(name, port, path):
    with urllib.request.urlopen(f"http://{{name}}:{{port}}{{path}}", timeout=10) as answer:
        return answer.read().decode()

def requests_to_live(name):
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in get(name, 9090, "/metrics").splitlines()
        if line.startswith("http_requests_total{{") and "/health/live" in line
    )

result = {{}}
for name, port in PORTS.items():
    before = requests_to_live(name)
    for _ in range(40):  # a connection each, so that every worker gets some
        get(name, port, "/health/live")
    result[name] = requests_to_live(name) - before
print(json.dumps(result))
"""
    for name, counted in node.python("inventory-app", script).items():
        assert counted == 40, name
