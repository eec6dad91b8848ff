"""The clone on the node, and the commands that a user types there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from tests.library.settings import ENV_FILE

DIRECTORY: Final = "/srv/play-with-containers"
SCALED: Final = ("inventory-app", "billing-app")


class Project:
    """The folder on a node that has compose.yaml, its sources, and a `.env`.

    Args:
        node: the node's container.
    """

    def __init__(self, node: str) -> None:
        self.node = node

    def try_on_node(
        self, *command: str, stdin: str | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        return subprocess.run(
            ["docker", "exec", "--interactive", "--workdir", DIRECTORY, self.node, *command],
            check=False,
            capture_output=True,
            text=True,
            input=stdin or "",
            timeout=seconds,
        )

    def on_node(self, *command: str, stdin: str | None = None, seconds: float = 600) -> str:
        """Run a command in the folder, which must succeed, and give what it writes."""
        done = self.try_on_node(*command, stdin=stdin, seconds=seconds)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def try_to(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `docker compose ARGUMENTS`."""
        return self.try_on_node("docker", "compose", *arguments)

    def __call__(self, *arguments: str) -> str:
        """Run `docker compose ARGUMENTS`, which must succeed, and give what it writes."""
        return self.on_node("docker", "compose", *arguments)

    def docker(self, *arguments: str) -> str:
        """Run a command of Docker's, which must succeed, and give what it writes."""
        return self.on_node("docker", *arguments)

    def write_env(self, text: str) -> None:
        """Write `.env` anew, there and where the tests read it."""
        ENV_FILE.write_text(text)
        self.on_node("sh", "-c", "umask 077; cat > .env", stdin=text)

    def set(self, **settings: object) -> None:
        """Give settings of `.env` another value."""
        text = ENV_FILE.read_text()
        for name, value in settings.items():
            text = re.sub(rf"^{name}=.*\n", "", text, flags=re.MULTILINE) + f"{name}={value}\n"
        self.write_env(text)

    def containers(self, *services: str) -> list[str]:
        """Name the containers of services, the first one first, as they are now."""
        lines = self("ps", "--all", "--format", "json", *services).splitlines()
        return sorted(json.loads(line)["Name"] for line in lines)

    def container(self, service: str) -> str:
        """Name the first container of a service, as it is now."""
        return self.containers(service)[0] if service in SCALED else service

    def health(self) -> Mapping[str, str]:
        """Tell the health of each container that runs."""
        states = (json.loads(line) for line in self("ps", "--format", "json").splitlines())
        return {state["Name"]: state["Health"] for state in states}

    def told(self, service: str, *command: str) -> Any:
        """Run a command in a container, and read the JSON that it prints."""
        return json.loads(self("exec", "-T", service, *command))

    def psql(self, service: str, database: str, query: str) -> str:
        """Ask a database as its administrator."""
        command = ("psql", "--no-psqlrc", "-qAt", "-U", "postgres", "-d", database, "-c", query)
        return self("exec", "-T", service, *command).strip()
