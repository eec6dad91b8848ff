"""What the tests of the way from Debian 12 to Debian 13 share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.node.conftest import node
from tests.operations.operator import Operator, copy_of_sources

__all__ = ["node"]


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks."""
    return Operator()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of srcs/ that a test may change."""
    return copy_of_sources(tmp_path)
