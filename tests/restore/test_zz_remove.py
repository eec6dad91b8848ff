"""Removing the platform. Last, since nothing is left afterwards."""

from __future__ import annotations

import pytest
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.backups import ON_THE_MACHINE, Backups

pytestmark = pytest.mark.timeout(3600)


def test_backups_outlive_the_platform_unless_they_are_to_go_too(
    backups: Backups, operator: Operator, node: Node
) -> None:
    backups.make()
    there = backups.on_the_machine()
    result = operator.run("ansible/remove.yml", confirm="yes", operate_volumes="yes")
    assert f"The backups in {ON_THE_MACHINE} stay" in result.text
    assert backups.on_the_machine() == there
    assert (
        node.run(
            "ls /etc/systemd/system/play-with-containers* /usr/local/sbin/play-with-containers* 2>&1 || true"
        ).count("No such file")
        == 2
    )
    result = operator.run("ansible/remove.yml", confirm="yes", operate_volumes="yes", operate_backups="yes")
    assert "Its backups are removed too" in result.text
    assert node.run("ls -d /var/backups/play-with-containers* 2>/dev/null || true") == ""
