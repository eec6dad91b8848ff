"""The firewall of the machine, seen from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.operations.operator import Operator
from tests.servers.server import Server

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

# Somebody has published the management page everywhere.
EVERYWHERE: dict[str, Any] = {"platform_management_address": "0.0.0.0"}  # noqa: S104
SETTINGS: dict[str, Any] = {**EVERYWHERE, "platform_firewall": True}
GATEWAY, MANAGEMENT, SHOP = 3000, 15672, 8088
SSH = {"port": 2222, "docker": 22}
LIMIT = ("--limit", "port,docker")

each_server = pytest.mark.parametrize("name", SSH)


@pytest.fixture(scope="module")
def before(operator: Operator, servers: dict[str, Server]) -> None:
    """Without the firewall, Docker opens all that is published."""
    operator.run("site.yml", *LIMIT, **EVERYWHERE)
    assert servers["docker"].is_open(SHOP)
    assert all(servers[name].is_open(MANAGEMENT) for name in SSH)


@pytest.fixture(scope="module", autouse=True)
def firewall(before: None, operator: Operator) -> Iterator[None]:  # noqa: ARG001
    """The firewall on two servers, and none at the end."""
    operator.run("site.yml", *LIMIT, **SETTINGS)
    yield
    operator.run("site.yml", *LIMIT)


def is_closed_but_for_what_is_published(server: Server) -> None:
    wait_until(lambda: is_ready(server), "the gateway is reached, and reaches the others", seconds=90)
    assert server.is_open(SSH[server.name])
    assert not server.is_open(MANAGEMENT)
    if server.name == "docker":
        server.run("docker exec shop /bin/busybox true")
        assert not server.is_open(SHOP)
    base = "$(docker images --quiet play-with-containers-base | head -1)"
    assert "Reading package lists" in server.run(f"docker run --rm {base} apt-get update"), (
        "the outside is reached"
    )
    server.run("iptables --check FORWARD --jump DOCKER-USER")


def is_ready(server: Server) -> bool:
    with suppress(requests.RequestException, ValueError):
        return bool(server.status(GATEWAY) == "ready")
    return False


@each_server
def test_only_what_the_platform_publishes_is_open(name: str, servers: dict[str, Server]) -> None:
    is_closed_but_for_what_is_published(servers[name])


@each_server
def test_ping_is_answered(name: str, servers: dict[str, Server]) -> None:
    # From another server: this computer may have no ping.
    ping = PING.format(address=servers[name].address)
    servers["password"].run(f'python3 -c "{ping}"')


@each_server
def test_a_restart_of_docker_opens_nothing(name: str, servers: dict[str, Server]) -> None:
    servers[name].run("systemctl restart docker")
    is_closed_but_for_what_is_published(servers[name])


def test_a_restart_of_the_machine_opens_nothing(servers: dict[str, Server]) -> None:
    servers["port"].restart()
    is_closed_but_for_what_is_published(servers["port"])


def test_it_is_idempotent_and_comes_back_when_it_is_gone(
    operator: Operator, servers: dict[str, Server]
) -> None:
    assert operator.run("site.yml", *LIMIT, **SETTINGS).changes == []
    servers["docker"].run("nft delete table inet play_with_containers")
    assert servers["docker"].is_open(SHOP)
    assert "its rules are gone" in operator.run("site.yml", *LIMIT, "--check", **SETTINGS).text
    assert servers["docker"].is_open(SHOP), "check mode changes nothing"
    operator.run("site.yml", *LIMIT, **SETTINGS)
    assert not servers["docker"].is_open(SHOP)


def test_another_port_can_be_left_open(operator: Operator, servers: dict[str, Server]) -> None:
    operator.run("site.yml", "--limit", "docker", **SETTINGS, platform_firewall_ports=[SHOP])
    assert servers["docker"].is_open(SHOP)
    operator.run("site.yml", "--limit", "docker", **SETTINGS)
    assert not servers["docker"].is_open(SHOP)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"platform_firewall_ports": [70000]}, "The firewall cannot open port 70000: use whole numbers"),
        ({"platform_firewall_ports": ["ssh"]}, "The firewall cannot open port ssh: use whole numbers"),
        ({"platform_firewall": "perhaps"}, "platform_firewall is perhaps: set it to true or false."),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_changes(
    settings: dict[str, Any], sentence: str, operator: Operator, servers: dict[str, Server]
) -> None:
    rules = servers["port"].run(RULES)
    result = operator.attempt("site.yml", "--limit", "port", **{**SETTINGS, **settings})
    assert result.code != 0
    assert sentence in result.text
    assert servers["port"].run(RULES) == rules


def test_switched_off_it_is_removed(operator: Operator, servers: dict[str, Server]) -> None:
    operator.run("site.yml", "--limit", "docker")
    server = servers["docker"]
    assert server.is_open(SHOP)
    assert "play_with_containers" not in server.run("nft list tables")
    assert not server.run("ls /etc/systemd/system | grep firewall || true")
    assert operator.run("site.yml", "--limit", "docker").changes == []


RULES = "nft list table inet play_with_containers | grep -v counter"
# One echo request over ICMP.
PING = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); "
    "s.settimeout(5); "
    "s.sendto(bytes((8, 0, 0xf7, 0xfd, 0, 1, 0, 1)), ('{address}', 0)); s.recv(100)"
)
