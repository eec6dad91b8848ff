"""What the tests of the operator's commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.library.api import Api
from tests.library.loads import Load


@pytest.fixture
def load(api: Api) -> Iterator[Load]:
    """Requests from outside, for as long as the test lasts."""
    with Load(api) as running:
        yield running
