"""What the test of large backups uses of the others."""

from __future__ import annotations

from tests.restore.conftest import backups

__all__ = ["backups"]
