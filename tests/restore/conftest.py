"""What the tests of backups and restores share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.backups import Backups


@pytest.fixture
def backups(operator: Operator, node: Node, env: dict[str, str], tmp_path: Path) -> Backups:
    """Backups of the platform, with copies in a folder of the test's own."""
    return Backups(operator, node, env, tmp_path / "copies")
