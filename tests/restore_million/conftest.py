"""What the test of large backups uses of the others."""

from __future__ import annotations

from tests.node.conftest import node
from tests.restore.conftest import backups, operator

__all__ = ["backups", "node", "operator"]
