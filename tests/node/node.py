"""The machine that the platform runs on, asked as rarely as possible: each command costs a connection."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from testinfra.host import Host
from tests.node.platform import NAMES

_NEXT: Final = "--- next answer ---"


class Node:
    """The node's shell and its Docker Engine.

    The cached properties show the node as it was when they were first read; the methods ask anew.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, command: str) -> str:
        """Run a shell command that must succeed, and give what it writes."""
        result = self._host.run(command)
        assert result.rc == 0, f"exit code {result.rc}: {command[:300]}\n{result.stderr[-2000:]}"
        return str(result.stdout)

    def in_each(self, script: str, names: Iterable[str] = NAMES, *, options: str = "") -> dict[str, str]:
        """Run a shell script inside each container, as its own user; it must succeed in each.

        Args:
            script: what `sh -e` reads.
            names: the containers.
            options: of `docker exec`, such as `--user 0`.
        """
        encoded = base64.b64encode(script.encode()).decode()
        commands = [
            f"echo {encoded} | base64 -d | docker exec -i {options} {container} sh -e; echo '{_NEXT}'"
            for container in map(self.container, names)
        ]
        answers = self.run("set -e; " + "; ".join(commands)).split(f"{_NEXT}\n")
        assert len(answers) == len(commands) + 1, "a container did not answer"
        return dict(zip(names, answers, strict=False))

    def python(self, container: str, script: str) -> Any:
        """Run a script with an app's Python, settings and secrets; give the JSON that it prints."""
        encoded = base64.b64encode(script.encode()).decode()
        return json.loads(self.run(f"echo {encoded} | base64 -d | docker exec -i {container} python -"))

    def psql(self, container: str, user: str, database: str, query: str) -> Any:
        """Ask a database, as its administrator on the local socket, for one JSON value."""
        encoded = base64.b64encode(query.encode()).decode()
        command = f"psql --no-psqlrc -v ON_ERROR_STOP=1 -qAt -h /run/postgresql -U {user} -d {database}"
        return json.loads(self.run(f"echo {encoded} | base64 -d | docker exec -i {container} {command}"))

    @cached_property
    def _numbered(self) -> Mapping[str, str]:
        """The container of each service that Docker Compose has given a number, the first one."""
        label = '{{.Label "com.docker.compose.service"}}'
        lines = self.run(f"docker ps --all --format '{label} {{{{.Names}}}}'").splitlines()
        found = [line.split() for line in sorted(lines, reverse=True) if not line.startswith(" ")]
        return {service: container for service, container in found if service in NAMES}

    def container(self, name: str) -> str:
        """Give the name that Docker knows a container by; only Compose has others than the contract's."""
        return self._numbered.get(name, name)

    def inspect(self, *names: str) -> dict[str, Any]:
        """Describe containers as they are now, by name."""
        described = json.loads(
            self.run("docker inspect --type container " + " ".join(map(self.container, names)))
        )
        return dict(zip(names, described, strict=True))

    @cached_property
    def containers(self) -> dict[str, Any]:
        """The platform's containers."""
        return self.inspect(*NAMES)

    @cached_property
    def everything(self) -> Mapping[str, Any]:
        """Every container, image and network of the engine, and what listens on the node."""
        lists = ("docker ps -aq", "docker images -q | sort -u", "docker network ls -q")
        answers = self.run(
            "set -e; "
            + "; ".join(f"docker inspect $({ids}); echo '{_NEXT}'" for ids in lists)
            + "; ss -Hltnp"
        ).split(f"{_NEXT}\n")
        containers, images, networks = (json.loads(answer) for answer in answers[:3])
        return {
            "containers": containers,
            "images": {image["Id"]: image for image in images},
            "networks": {network["Name"]: network for network in networks},
            "listeners": answers[3].splitlines(),
        }

    def image_of(self, name: str) -> Any:
        """Describe the image that a container runs."""
        return self.everything["images"][self.containers[name]["Image"]]

    def packed(self, command: str) -> str:
        """Run a command whose output may be large or no text, and give it, undecodable bytes replaced."""
        packed = self.run(f"set -e; {{ {command} ; }} | gzip -1 | base64 -w0")
        return gzip.decompress(base64.b64decode(packed)).decode(errors="replace")
