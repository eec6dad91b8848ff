"""The contract's table of containers: each is as Ansible makes it."""

from tests.node.test_containers import *  # noqa: F403
