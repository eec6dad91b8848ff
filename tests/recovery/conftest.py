"""What these tests share with those of the node."""

from __future__ import annotations

import pytest
from tests.library.long_tests import skip_long_tests
from tests.node.conftest import node

__all__ = ["node"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_long_tests(items, "recovery", "PLATFORM_LONG", "make test-platform LONG=yes")
