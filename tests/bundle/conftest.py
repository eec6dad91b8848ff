"""A bundle on a node whose network is cut off."""

from __future__ import annotations

import re
import shlex

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host
from tests.library.api import Api

PLACE = "/opt/bundles"
IMAGES = "docker image ls --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort"
DESCRIPTION = "{{.Name}} {{.Id}} {{.State.StartedAt}}"
CONTAINERS = f"docker ps --all --quiet | xargs -r docker inspect --format '{DESCRIPTION}' | sort"


class Bundle:
    """An unpacked bundle, asked through the node's shell."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.file = self.run(f"ls {PLACE}/*.tar").strip()
        self.directory = self.file.removesuffix(".tar")
        self.platform = f"{self.directory}/platform"
        # Where Docker is there, root installs; the other node has a user who may use sudo.
        self.user = "root" if host.backend.get_pytest_id().endswith("docker") else "vagrant"
        # The test's own network, whatever the interface is called.
        address = re.search(r" src (\S+)", self.run("ip route get 10.204.0.1"))
        assert address
        self.api = Api(f"http://{address[1]}:3000")

    def run(self, command: str) -> str:
        """Run a shell command as root, which must succeed."""
        done = self.host.run(command)
        assert done.rc == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return str(done.stdout)

    def install(self, directory: str = "", **variables: str) -> CommandResult:
        """Run ./install as the user."""
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        program = f"{directory or self.directory}/install"
        return self.host.run(f"runuser --user {self.user} -- env {given} {program}")

    def state(self) -> str:
        """Describe what an installation changes on the machine."""
        return self.run(
            f"dpkg-query --show; ls -A {self.directory};"
            "ls -Al /etc/docker /etc/play-with-containers 2>/dev/null;"
            f"sha256sum {self.platform}/.env 2>/dev/null;"
            f"stat --format %y {self.platform}/.venv/.made 2>/dev/null;"
            f"if command -v docker; then {IMAGES}; docker volume ls; {CONTAINERS}; fi || true"
        )


@pytest.fixture(scope="module")
def bundle(host: Host) -> Bundle:
    """The bundle on a node."""
    return Bundle(host)
