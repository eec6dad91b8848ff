"""Which moments of a database can be restored, as told by the filters of the operator's playbooks."""

from __future__ import annotations

from typing import Any

import pytest
from plugin_loader import load_plugin

point_in_time = load_plugin("ansible/plugins/filter/point_in_time.py")

SYSTEM = "7000000000000000001"


def backup(start: int, *, timeline: int = 1, stop: str = "0/3000000", **changes: Any) -> dict[str, Any]:
    """A base backup as pgBackRest tells it; it took ten seconds."""
    wal = f"{timeline:08X}0000000000000003"
    return {
        "label": f"backup of {start}",
        "error": False,
        "database": {"id": 1},
        "timestamp": {"start": start, "stop": start + 10},
        "archive": {"start": wal, "stop": wal},
        "lsn": {"start": "0/2000000", "stop": stop},
        "info": {"size": 1000},
        **changes,
    }


def document(*backups: dict[str, Any], since: int | None = 0, **server: Any) -> dict[str, Any]:
    """What `archive-status` prints."""
    defaults = {
        "system": SYSTEM,
        "timeline": 1,
        "history": None,
        "archived": 900.5,
        "archived_at": 901.0,
        "failed_at": None,
        "waiting": 0,
    }
    databases = [{"id": 1, "system-id": int(SYSTEM)}]
    return {
        "repository": [{"name": "main", "db": databases, "backup": list(backups)}],
        "server": {**defaults, **server},
        "since": since,
    }


def labels(found: dict[str, Any]) -> list[str]:
    return [item["label"] for item in found["backups"]]


def test_what_can_be_restored_reaches_from_the_first_base_backup_to_what_was_archived_last() -> None:
    found = point_in_time.restorable(document(backup(100), backup(500)))
    assert (found["oldest"], found["newest"]) == (110, 900.5)
    assert point_in_time.backup_before(found["backups"], 509)["label"] == "backup of 100"
    assert point_in_time.backup_before(found["backups"], 510)["label"] == "backup of 500"


def test_nothing_can_be_restored_without_a_base_backup() -> None:
    found = point_in_time.restorable({**document(), "repository": []})
    assert (found["oldest"], found["newest"]) == (None, None)


def test_what_was_backed_up_before_a_gap_leads_nowhere() -> None:
    assert labels(point_in_time.restorable(document(backup(100), backup(500), since=200))) == [
        "backup of 500"
    ]


def test_a_backup_of_a_branch_that_was_left_leads_nowhere() -> None:
    history = "1\t0/4000000\tbefore 2026-11-24 12:00:00+00\n"
    before = backup(100, stop="0/3000000")
    after = backup(200, stop="0/5000000")
    own = backup(300, timeline=2, stop="0/4500000")
    found = point_in_time.restorable(document(before, after, own, timeline=2, history=history))
    assert labels(found) == ["backup of 100", "backup of 300"]


def test_a_broken_backup_and_one_of_another_cluster_do_not_count() -> None:
    found = point_in_time.restorable(document(backup(100, error=True), backup(200, database={"id": 0})))
    assert found["oldest"] is None


def test_data_that_was_lost_can_be_restored_beside_a_new_cluster() -> None:
    lost = document(backup(100), since=600, system="another", timeline=1)
    assert not point_in_time.archive_is_of_the_server(lost)
    assert labels(point_in_time.restorable(lost)) == ["backup of 100"]


def test_archiving_fails_until_it_succeeds_again() -> None:
    assert point_in_time.restorable(document(failed_at=950.0))["failing_since"] == 950.0
    assert point_in_time.restorable(document(failed_at=950.0, archived_at=951.0))["failing_since"] is None


@pytest.mark.parametrize(
    "text", ["2026-11-24 12:00:00+00", "2026-11-24T13:00:00+01:00", " 2026-11-24 12:00:00Z"]
)
def test_a_moment_is_read_with_its_time_zone(text: str) -> None:
    assert point_in_time.moment(text) == {
        "seconds": 1795521600.0,
        "utc": "2026-11-24 12:00:00.000000+00",
        "text": "2026-11-24 12:00:00+00",
    }


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-24 12:00:00", "2026-13-24 12:00:00+00"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(point_in_time.AnsibleFilterError, match=r"TIME='2026-11-24 12:00:00\+00'"):
        point_in_time.moment(text)


def test_a_status_says_from_when_to_when_and_what_fails() -> None:
    found = {"oldest": "A", "newest": "B", "failing_since": None, "waiting": 0, "backups": 1}
    text = point_in_time.archives_text(
        {
            "off": point_in_time.archive_summary(None),
            "silent": point_in_time.archive_summary(""),
            "well": found,
            "failing": {**found, "failing_since": "C", "waiting": 7},
        }
    )
    lines = text.splitlines()
    assert lines[:3] == [
        "restorable: off only from backups (its archive is off)",
        "restorable: silent does not say",
        "restorable: well from A to B",
    ]
    assert "ARCHIVING FAILS since C, 7 WAL files" in lines[3]
