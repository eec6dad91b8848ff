"""What the tests of several servers share (molecule/servers makes them)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.operations.operator import INVENTORY, Operator, Result
from tests.servers.server import Server

NAMES = ("port", "password", "docker")


@pytest.fixture(scope="session")
def servers() -> dict[str, Server]:
    """The servers by their names in the inventory."""
    return {name: Server(name) for name in NAMES}


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks. The inventory says all there is to say."""
    return Operator(env_file=None)


@pytest.fixture(scope="session")
def first_run(operator: Operator) -> Result:
    """One run that brings the platform up on all servers."""
    return operator.run("site.yml")


@pytest.fixture
def operator_with(tmp_path: Path) -> Callable[[str], Operator]:
    """Give somebody who has written something more into the inventory."""

    def make(text: str) -> Operator:
        path = tmp_path / "more.ini"
        path.write_text(text)
        return Operator(inventories=(INVENTORY, str(path)), env_file=None)

    return make
