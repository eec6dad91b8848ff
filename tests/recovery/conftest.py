"""What these tests share with those of the node."""

from tests.node.conftest import node

__all__ = ["node"]
