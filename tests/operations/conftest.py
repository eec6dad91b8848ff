"""What the tests of the operator's commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.long_tests import skip_long_tests
from tests.node.conftest import node
from tests.operations.operator import Operator, copy_of_sources

__all__ = ["node"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_long_tests(items, "operations", "PLATFORM_OPERATIONS", "make test-operations")


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks."""
    return Operator()


@pytest.fixture
def load(api: Api) -> Iterator[Load]:
    """Requests from outside, for as long as the test lasts."""
    with Load(api) as running:
        yield running


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of srcs/ that a test may change."""
    return copy_of_sources(tmp_path)
