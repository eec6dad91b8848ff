"""The platform as Docker Compose makes it, on this computer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import testinfra
import yaml
from tests.compose.project import Project, in_the_way
from tests.library.api import Api
from tests.library.settings import ROOT
from tests.node.conftest import service  # noqa: F401 (a fixture)
from tests.node.node import Node
from tests.node.platform import NAMES

DIRECTORY: Final = ROOT / ".cache/compose"
REQUIREMENTS: Final = ROOT / "requirements/compose.txt"


@pytest.fixture(scope="session")
def program() -> Path:
    """Docker Compose, installed if it is not there yet."""
    stamp = DIRECTORY / "installed"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", DIRECTORY], check=True)
        pip = (DIRECTORY / "bin/pip", "install", "--quiet", "--require-hashes", "--requirement", REQUIREMENTS)
        subprocess.run(pip, check=True)
        stamp.write_text(REQUIREMENTS.read_text())
    return DIRECTORY / "bin/docker-compose"


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The project's own base image, made if it is not there yet."""
    reference = tmp_path_factory.mktemp("base") / "reference"
    playbook = str(Path(__file__).with_name("base_image.yml"))
    command = ["ansible-playbook", "-i", "localhost,", playbook, "-e", f"reference_file={reference}"]
    subprocess.run(command, cwd=ROOT, check=True)
    return reference.read_text()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, program: Path, base_image: str) -> Iterator[Project]:
    """The platform, up and healthy; removed at the end with its data."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    found = in_the_way(described["services"], (volume for volume in NAMES))
    assert not found, (
        f"These tests would remove {', '.join(found)} of this computer's Docker: is a platform here? "
        "Remove it first (`make remove VOLUMES=yes`, or `docker compose down --volumes`)."
    )
    made = Project(tmp_path_factory.mktemp("project"), program, base_image)
    try:
        made("up", "--detach", "--build", "--wait", seconds=1800)
        yield made
    finally:
        made.try_to("down", "--volumes", "--remove-orphans", "--rmi", "all")


@pytest.fixture(scope="session")
def api(project: Project) -> Api:
    """The public API."""
    return Api(f"http://localhost:{project.gateway_port}")


class ComposeNode(Node):
    """This computer; where the tests say a service, they get its first container."""

    def __init__(self, project: Project) -> None:
        super().__init__(testinfra.get_host("local://"))
        self._project = project

    def inspect(self, *names: str) -> dict[str, Any]:
        containers = [self._project.container(name) for name in names]
        return dict(zip(names, map(super().inspect(*containers).get, containers), strict=True))

    def in_each(self, script: str, names: Any = NAMES, *, options: str = "") -> dict[str, str]:
        containers = [self._project.container(name) for name in names]
        answers = super().in_each(script, containers, options=options)
        return dict(zip(names, answers.values(), strict=True))


@pytest.fixture(scope="module")
def node(project: Project) -> Node:
    """The machine that the platform runs on."""
    return ComposeNode(project)
