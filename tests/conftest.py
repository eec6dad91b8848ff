"""What the tests of a running platform share. The unit tests of the apps have their own in `unit/`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from testinfra.host import Host
from tests.library.api import Api
from tests.library.management_page import ManagementPage
from tests.library.settings import ENV_FILE, MANAGEMENT_URL, PLATFORM_URL, Secrets, load_env
from tests.node.node import Node
from tests.operations.operator import Operator, copy_of_sources

# Folders whose tests take long, the variable that asks for them with "all", and the command that sets it.
LONG: Final = {
    "fuzz": ("PLATFORM_LONG", "make test-platform LONG=yes"),
    "hostile": ("PLATFORM_LONG", "make test-platform LONG=yes"),
    "recovery": ("PLATFORM_LONG", "make test-platform LONG=yes"),
    "operations": ("PLATFORM_OPERATIONS", "make test-operations"),
    "restore": ("PLATFORM_RESTORE", "make test-restore"),
}
_nodes: dict[str, Node] = {}


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "destructive: deletes what others stored; runs only where PLATFORM_DESTRUCTIVE=1",
        "quick: runs in `make test` too, in a folder whose tests take long",
        "recovery: stops or kills containers of the platform; runs after all others",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("recovery") is not None)
    for item in items:
        if item.get_closest_marker("destructive") and os.environ.get("PLATFORM_DESTRUCTIVE") != "1":
            reason = "destructive: set PLATFORM_DESTRUCTIVE=1 on a platform made for tests"
            item.add_marker(pytest.mark.skip(reason=reason))
        variable, command = LONG.get(item.path.parent.name, ("", ""))
        if variable and os.environ.get(variable) != "all" and not item.get_closest_marker("quick"):
            item.add_marker(pytest.mark.skip(reason=f"takes long: {variable}=all ({command})"))


@pytest.fixture(scope="session")
def platform_url() -> str:
    """Where the gateway is reached from outside, without a trailing slash."""
    return PLATFORM_URL


@pytest.fixture(scope="session")
def env() -> Secrets:
    """The installation's `.env`."""
    return load_env(ENV_FILE)


@pytest.fixture(scope="session")
def api(platform_url: str) -> Api:
    """The public API."""
    return Api(platform_url)


@pytest.fixture(scope="session")
def page(env: dict[str, str]) -> ManagementPage:
    """The broker's management page, as the administrator."""
    return ManagementPage(MANAGEMENT_URL, env["RABBITMQ_DEFAULT_USER"], env["RABBITMQ_DEFAULT_PASS"])


@pytest.fixture(scope="module")
def node(host: Host) -> Node:
    """The machine that the platform runs on; one for all modules, so that it is asked only once."""
    return _nodes.setdefault(host.backend.get_pytest_id(), Node(host))


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks."""
    return Operator()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of srcs/ that a test may change."""
    return copy_of_sources(tmp_path)
