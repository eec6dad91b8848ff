"""A server of the tests: a node in a container, seen from outside and from inside."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import requests


class Server:
    """One of the nodes of molecule/servers.

    Args:
        name: its name in the inventory.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.node = f"play-with-containers-server-{name}"

    @property
    def address(self) -> str:
        """Where others reach it."""
        form = "{{ .NetworkSettings.Networks.bridge.IPAddress }}"
        return _run("docker", "inspect", "--format", form, self.node).strip()

    def run(self, command: str) -> str:
        """Run a shell command there that must succeed, and give what it writes."""
        return _run("docker", "exec", self.node, "bash", "-c", command)

    def containers(self) -> set[str]:
        """List the names of the containers that run there."""
        return set(self.run("docker ps --format '{{ .Names }}'").split())

    def status(self, port: int) -> Any:
        """Ask the gateway from outside how the platform is."""
        answer = requests.get(f"http://{self.address}:{port}/health/ready", timeout=10)
        return answer.json()["status"]

    def is_open(self, port: int) -> bool:
        """Tell whether a connection from outside is taken."""
        try:
            with socket.create_connection((self.address, port), timeout=3):
                return True
        except OSError:
            return False

    def restart(self) -> None:
        """Restart the machine; what it has on its disks stays."""
        _run("docker", "restart", "--time", "90", self.node)

    def engine(self) -> dict[str, Any]:
        """Say what Docker says of itself there."""
        answer: dict[str, Any] = json.loads(self.run("docker info --format '{{ json . }}'"))
        return answer


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)[:300]}\n{done.stderr[-2000:]}"
    return done.stdout
