"""What the tests of the node share."""

from __future__ import annotations

import pytest
from testinfra.host import Host
from tests.node.node import Node
from tests.node.platform import SERVICES, Service

_nodes: dict[str, Node] = {}


@pytest.fixture(scope="module")
def node(host: Host) -> Node:
    """The machine that the platform runs on; one for all modules, so that it is asked only once."""
    return _nodes.setdefault(host.backend.get_pytest_id(), Node(host))


@pytest.fixture(params=SERVICES, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Service:
    """Each container of the contract's table."""
    result: Service = request.param
    return result
