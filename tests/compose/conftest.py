"""The platform as Docker Compose makes it, on the node of molecule/compose."""

from __future__ import annotations

import os

import pytest
import testinfra
from tests.compose.project import Project
from tests.node.conftest import service  # noqa: F401 (a fixture)
from tests.node.node import Node


@pytest.fixture(scope="session")
def project() -> Project:
    """The clone on the node, with a platform that is up."""
    name = os.environ.get("PLATFORM_NODE")
    if not name:
        pytest.skip("needs the node of molecule/compose: run `make test-compose`")
    return Project(name)


@pytest.fixture(scope="module")
def node(project: Project) -> Node:
    """The machine that the platform runs on."""
    return Node(testinfra.get_host(f"docker://{project.node}"))
