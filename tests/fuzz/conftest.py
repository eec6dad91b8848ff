"""Generated input takes its time."""

from __future__ import annotations

import pytest
from tests.library.long_tests import skip_long_tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_long_tests(items, "fuzz", "PLATFORM_LONG", "make test-platform LONG=yes")
