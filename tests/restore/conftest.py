"""What the tests of backups and restores share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.node.conftest import node
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.backups import Backups

__all__ = ["node"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PLATFORM_RESTORE") == "all":
        return
    skip = pytest.mark.skip(reason="takes long: PLATFORM_RESTORE=all (make test-restore)")
    for item in items:
        if "tests/restore/" in str(item.path) and item.get_closest_marker("quick") is None:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks."""
    return Operator()


@pytest.fixture
def backups(operator: Operator, node: Node, env: dict[str, str], tmp_path: Path) -> Backups:
    """Backups of the platform, with copies in a folder of the test's own."""
    return Backups(operator, node, env, tmp_path / "copies")
