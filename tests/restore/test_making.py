"""Making backups: what becomes of full disks, kills, waiting orders, old backups; and the timer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.library.api import Api
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator, finish
from tests.restore.backups import ON_THE_MACHINE, Backups

pytestmark = pytest.mark.timeout(3600)

SMALL_DISK = "/mnt/small-disk"
UNIT = "play-with-containers-backup"


@pytest.fixture
def small_disk(node: Node) -> Iterator[str]:
    """A disk of 100 MiB on the machine."""
    node.run(f"mkdir -p {SMALL_DISK} && mount -t tmpfs -o size=100m none {SMALL_DISK}")
    yield SMALL_DISK
    node.run(f"umount -l {SMALL_DISK} && rmdir {SMALL_DISK}")


@pytest.fixture
def much(backups: Backups) -> Iterator[None]:
    """40 MB of films that cannot be compressed."""
    statement = (
        "INSERT INTO movies (title, description) SELECT 'much ' || n, string_agg(md5(random()::text), '') "
        "FROM generate_series(1, 4000) n, generate_series(1, 310) GROUP BY n"
    )
    backups.execute("movies", statement, name="movies")
    yield
    backups.execute("movies", "DELETE FROM movies WHERE title LIKE 'much %'", name="movies")


@pytest.mark.usefixtures("much")
def test_a_disk_that_fills_up_meanwhile_leaves_no_half_backup(
    backups: Backups, node: Node, small_disk: str
) -> None:
    directory = f"{small_disk}/backups"
    # Somebody else takes all the room as soon as the backup has begun to write.
    node.run(
        f"nohup sh -c 'until ls {directory}/*.partial/movies.dump; do sleep 0.02; done; "
        f"head -c 1G /dev/zero > {small_disk}/taken' > /dev/null 2>&1 &"
    )
    backups.fails("is full", "nothing of it is left", backup_directory=directory, backup_reserve_mib=0)
    assert node.run(f"ls -A {directory}") == ""
    node.run(f"rm {small_disk}/taken")
    backups.make(backup_directory=directory, backup_reserve_mib=0)
    assert len(backups.on_the_machine(directory)) == 1


def test_too_little_room_is_said_before_anything_is_written(
    backups: Backups, node: Node, small_disk: str
) -> None:
    backups.fails("must stay free", backup_directory=f"{small_disk}/backups", backup_reserve_mib=1000)
    assert node.run(f"ls -A {small_disk}/backups") == ""


@pytest.mark.usefixtures("much")
def test_a_backup_whose_process_is_killed_leaves_nothing_and_the_next_one_works(
    backups: Backups, operator: Operator, node: Node
) -> None:
    before = backups.on_the_machine()
    process = operator.start("ansible/backup.yml", backup_local_directory="")
    wait_until(
        lambda: node.run(f"ls -d {ON_THE_MACHINE}/*.partial/movies.dump 2>/dev/null || true"), "it writes"
    )
    node.run("kill -9 $(cat /run/play-with-containers-backup/lock)")
    output = finish(process)
    assert process.returncode != 0
    assert "was killed. Run it again." in " ".join(output.split())
    assert [name for name in backups.on_the_machine() if not name.endswith(".partial")] == before
    backups.make()
    assert len(backups.on_the_machine()) == min(len(before) + 1, 7)
    assert backups.unfinished() == []


def test_orders_on_their_way_are_told_and_can_be_waited_for(
    backups: Backups, operator: Operator, api: Api
) -> None:
    operator.run("ansible/stop.yml", operate_service="billing-app")
    try:
        orders = [
            api.order({"user_id": "queued", "number_of_items": n, "total_amount": "1"}) for n in (1, 2, 3)
        ]
        backup = backups.make()
        assert "It does not hold 3 orders that were on their way" in backups.said
        assert json.loads((backup / "manifest.json").read_text())["orders"]["queued"] == 3
        before = backups.on_the_machine()
        backups.fails("there are still 3 orders", "billing-app", operate_drain="1", backup_drain_seconds=1)
        assert backups.on_the_machine() == before
    finally:
        operator.run("ansible/start.yml", operate_service="billing-app")
    backup = backups.make(operate_drain="1")
    assert "No order was on its way at that moment." in backups.said
    for order in orders:
        assert api.get(f"/api/billing/{order}").status_code == 200


def test_a_backup_is_made_while_the_broker_is_down(backups: Backups, operator: Operator, node: Node) -> None:
    node.run("docker stop rabbitmq")
    try:
        backup = backups.make()
        assert "not the broker's definitions, since the broker does not answer" in backups.said
        assert json.loads((backup / "manifest.json").read_text())["orders"]["queued"] is None
    finally:
        operator.run("ansible/start.yml", operate_service="rabbitmq")


def test_the_timer_makes_backups_and_removes_old_ones(
    backups: Backups, operator: Operator, node: Node
) -> None:
    variables: dict[str, Any] = {"backup_schedule": "*-*-* 03:30", "backup_keep": 2, "backup_keep_days": 0}
    try:
        operator.run("site.yml", **variables)
        assert operator.run("site.yml", **variables).changes == []
        assert node.run(f"systemctl is-active {UNIT}.timer") == "active\n"
        assert "03:30:00" in node.run(f"systemctl list-timers {UNIT}.timer")
        made: list[str] = []
        for _ in range(3):
            node.run(f"systemctl start {UNIT}.service")
            made.append(backups.on_the_machine()[-1])
        assert len(set(made)) == 3
        assert backups.on_the_machine() == made[1:]
        assert f"{made[-1]} holds movies" in node.run(f"journalctl --unit {UNIT} --lines 5 --output cat")
        # It can be restored like any other.
        backups.restore(made[-1], operate_database="movies")
    finally:
        operator.run("site.yml")
    assert node.run(f"systemctl list-timers --all --no-legend {UNIT}.timer") == ""
    assert operator.run("site.yml").changes == []
    backups.discard()


def test_a_schedule_that_systemd_does_not_understand_is_refused(operator: Operator, node: Node) -> None:
    result = operator.attempt("site.yml", "--tags", "run", backup_schedule="every night")
    assert result.code != 0
    assert "backup_schedule is every night" in result.text
    assert node.run(f"systemctl list-timers --all --no-legend {UNIT}.timer") == ""


def test_a_scheduled_backup_waits_for_nobody_else_to_work_on_the_machine(node: Node) -> None:
    holder = "ada@laptop since 2026-01-02T03:04:05+00:00 (Stop-the-containers, process 17)"
    node.run(f"ln -sfT '{holder}' /run/play-with-containers.lock")
    try:
        node.run(f"systemctl start --no-block {UNIT}.service")
        wait_until(
            lambda: node.run(f"systemctl show --property ActiveState --value {UNIT}") == "activating\n",
            "it waits",
        )
        assert node.run(f"ls -d {ON_THE_MACHINE}/*.partial 2>/dev/null || true") == ""
        node.run("rm /run/play-with-containers.lock")
        wait_until(
            lambda: node.run(f"systemctl show --property ActiveState --value {UNIT}") == "inactive\n",
            "it is made",
            seconds=120,
        )
        assert node.run(f"systemctl show --property Result --value {UNIT}") == "success\n"
    finally:
        node.run("rm -f /run/play-with-containers.lock")
