"""What the tests of backups and restores share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.long_tests import skip_long_tests
from tests.node.conftest import node
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.backups import Backups

__all__ = ["node"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_long_tests(items, "restore", "PLATFORM_RESTORE", "make test-restore")


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks."""
    return Operator()


@pytest.fixture
def backups(operator: Operator, node: Node, env: dict[str, str], tmp_path: Path) -> Backups:
    """Backups of the platform, with copies in a folder of the test's own."""
    return Backups(operator, node, env, tmp_path / "copies")
