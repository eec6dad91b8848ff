"""What the fault suite's tests share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.faults.platform_under_test import Platform


@pytest.fixture
def platform(env: dict[str, str]) -> Platform:
    """The platform on a node of its own: the suite restarts the node too."""
    name = os.environ.get("PLATFORM_NODE")
    if not name:
        pytest.skip("needs a node in a container: name it in PLATFORM_NODE, or run `make test-faults`")
    return Platform(name, env)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line of progress at once: a run takes minutes."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    return print_line
