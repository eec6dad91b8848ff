"""A copy of what Compose needs, and the commands that a user types there."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.library.settings import ROOT

CERTIFICATES: Final = Path("/usr/local/share/ca-certificates")
SCALED: Final = ("inventory-app", "billing-app")


def free_port() -> int:
    """Give a port of this computer that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def docker(*arguments: str) -> str:
    """Run a command of Docker's that must succeed, and give what it writes."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Project:
    """A folder with compose.yaml, its sources and a `.env` of its own.

    Args:
        folder: an empty one.
        program: Docker Compose.
        base_image: what the images are built on.
    """

    def __init__(self, folder: Path, program: Path, base_image: str) -> None:
        self.folder = folder
        self._program = program
        self.gateway_port, self.management_port = free_port(), free_port()
        for name in ("compose.yaml", ".env.example"):
            shutil.copy(ROOT / name, folder)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/make_env", folder / "scripts")
        shutil.copytree(ROOT / "srcs", folder / "srcs", ignore=shutil.ignore_patterns("__pycache__"))
        for certificate in CERTIFICATES.glob("*.crt"):
            shutil.copy(certificate, folder / "srcs/certificates")
        subprocess.run([folder / "scripts/make_env"], check=True)
        self.env_file = folder / ".env"
        self.set(GATEWAY_PORT=self.gateway_port, MANAGEMENT_PORT=self.management_port, BASE_IMAGE=base_image)

    def set(self, **settings: object) -> None:
        """Give settings of `.env` another value."""
        text = self.env_file.read_text()
        for name, value in settings.items():
            text = re.sub(rf"^{name}=.*\n", "", text, flags=re.MULTILINE) + f"{name}={value}\n"
        self.env_file.write_text(text)

    def try_to(self, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run `docker compose ARGUMENTS`, as a user does who has no .venv."""
        # Compose 5 asks for a newer buildx than Debian has, where there is one.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_BUILDKIT": "0"}
        return subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )

    def __call__(self, *arguments: str, seconds: float = 600) -> str:
        """Run `docker compose ARGUMENTS`, which must succeed, and give what it writes."""
        done = self.try_to(*arguments, seconds=seconds)
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

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


def in_the_way(services: Iterable[str], volumes: Iterable[str]) -> list[str]:
    """Name the containers and volumes of this computer's Docker whose names the platform's would take."""
    named = set(docker("ps", "--all", "--format", "{{.Names}}").split()) & set(services)
    return sorted(named | set(docker("volume", "ls", "--format", "{{.Name}}").split()) & set(volumes))
