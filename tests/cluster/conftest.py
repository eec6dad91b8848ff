"""What the tests of three machines that are one platform share (molecule/cluster makes them)."""

from __future__ import annotations

import pytest
from testinfra import get_host
from tests.cluster.swarm import MACHINES, Swarm
from tests.node.node import Node
from tests.operations.operator import Operator


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Who runs the playbooks. The inventory says all there is to say."""
    return Operator(env_file=None)


@pytest.fixture(scope="session")
def node() -> Node:
    """The first of the machines."""
    return Node(get_host(f"docker://{MACHINES[0]}"))


@pytest.fixture(scope="session")
def swarm(env: dict[str, str]) -> Swarm:
    """The three machines."""
    return Swarm(env)
