"""Tests that take long, and run only where somebody asks for them: `make test-all` does, for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest


def skip_long_tests(items: Iterable[pytest.Item], folder: str, variable: str, command: str) -> None:
    """Skip the tests of a folder that are not marked as quick, unless they are asked for.

    Args:
        items: what pytest has collected.
        folder: the folder's name in tests/.
        variable: the environment variable that is "all" where the long ones are asked for.
        command: what sets it, for the reason that is shown.
    """
    if os.environ.get(variable) == "all":
        return
    skip = pytest.mark.skip(reason=f"takes long: {variable}=all ({command})")
    for item in items:
        if f"tests/{folder}/" in str(item.path) and item.get_closest_marker("quick") is None:
            item.add_marker(skip)
