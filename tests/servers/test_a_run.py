"""One run over several servers, each reached in another way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from tests.library.settings import PATIENCE
from tests.node.platform import NAMES
from tests.operations.operator import Operator, Result
from tests.servers.server import Server

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

LEFT = 1000 * 2**20
PORTS = {"port": 3000, "password": 8080, "docker": 3000}
each_server = pytest.mark.parametrize("name", PORTS)


@each_server
def test_one_run_brings_up_every_server_and_sums_up_each(
    name: str, first_run: Result, servers: dict[str, Server]
) -> None:
    assert f"{name} is as described: inventory-database," in first_run.text
    assert set(NAMES) <= servers[name].containers()
    assert servers[name].status(PORTS[name]) == "ready"
    assert not servers[name].is_open(15672), "the management page is the machine's own"


@pytest.mark.usefixtures("first_run")
def test_a_second_run_changes_nothing(operator: Operator) -> None:
    assert operator.run("site.yml").changes == []


@pytest.mark.usefixtures("first_run")
def test_the_servers_are_what_they_are_to_be(servers: dict[str, Server]) -> None:
    assert "12" in servers["port"].run(". /etc/os-release; echo $VERSION_ID")
    assert "13" in servers["password"].run(". /etc/os-release; echo $VERSION_ID")
    for server in servers.values():
        assert server.run("id -u operator").strip() != "0"


@pytest.mark.usefixtures("first_run")
def test_a_docker_of_somebody_else_stays_what_it_was(servers: dict[str, Server]) -> None:
    server = servers["docker"]
    assert server.engine()["DockerRootDir"] == "/srv/docker"
    assert "owner=somebody-else" in server.engine()["Labels"]
    options = json.loads(server.run("cat /etc/docker/daemon.json"))
    assert options["bip"] == "10.203.0.1/24", "options that are not ours stay"
    packages = server.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'").splitlines()
    assert "docker-ce installed" in packages
    assert "docker.io installed" not in packages
    assert "shop" in server.containers()
    assert server.run("ls /var/lib/docker").strip() == ""


@pytest.mark.usefixtures("first_run")
def test_servers_may_have_accounts_of_their_own(servers: dict[str, Server]) -> None:
    digest = "sha256sum < /etc/play-with-containers/inventory-database-secrets/postgres_password"
    found = {name: server.run(digest) for name, server in servers.items()}
    assert found["port"] == found["password"] != found["docker"]


@pytest.mark.usefixtures("first_run")
def test_what_fails_on_some_servers_is_a_sentence_each_and_the_others_are_finished(
    operator: Operator, operator_with: Callable[[str], Operator], servers: dict[str, Server]
) -> None:
    for name in ("port", "docker"):
        servers[name].run("docker rm --force inventory-app")
    free = int(servers["docker"].run("df --output=avail --block-size=1 /srv/docker | tail -1"))
    servers["docker"].run(f"fallocate --length {free - LEFT} /srv/docker/full")
    try:
        result = operator_with(
            "[platform]\n"
            f"gone ansible_host={servers['port'].address} ansible_port=1\n"
            "nowhere ansible_host=nowhere.invalid\n"
            "password ansible_become_password=wrong\n"
        ).attempt("site.yml")
    finally:
        servers["docker"].run("rm /srv/docker/full")
    assert result.code != 0
    assert "UNREACHABLE gone" in result.text
    assert "Connection refused" in result.text
    assert "gone cannot be reached. Check that it runs, and what the inventory says of it" in result.text
    assert "nowhere cannot be reached." in result.text
    assert (
        "sudo refuses the password of this user. Correct ansible_become_password of password" in result.text
    )
    sentence = r"docker has \d+ MiB free for Docker, and the platform needs 3000\. Free some"
    assert re.search(sentence, result.text)
    assert "port is as described" in result.text
    assert servers["port"].status(PORTS["port"]) == "ready"
    assert "Not finished: docker, gone, nowhere, password; all others are." in result.text
    assert "--limit docker,gone,nowhere,password" in result.text
    assert "Traceback" not in result.text

    again = operator.run("site.yml", "--limit", "docker,password")
    assert "docker is as described" in again.text
    assert servers["docker"].status(PORTS["docker"]) == "ready"


@pytest.mark.usefixtures("first_run")
def test_without_the_password_of_sudo_it_says_how_to_give_it(
    operator_with: Callable[[str], Operator],
) -> None:
    missing = operator_with("[platform]\npassword ansible_become_password=\n")
    result = missing.attempt("site.yml", "--limit", "password")
    assert result.code != 0
    assert (
        "Set ansible_become_password for password, or run this again with --ask-become-pass." in result.text
    )
