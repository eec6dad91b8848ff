"""What the tests of the node share."""

from __future__ import annotations

import pytest
from tests.node.platform import SERVICES, Service


@pytest.fixture(params=SERVICES, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Service:
    """Each container of the contract's table."""
    result: Service = request.param
    return result
