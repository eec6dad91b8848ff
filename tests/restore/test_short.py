"""A backup under load, which is whole, and refused where it is damaged; and one database restored from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.restore.backups import Backups, damaged_copy, flip_bit

pytestmark = pytest.mark.timeout(1200)


def made_under_load(backups: Backups, api: Api) -> tuple[Path, list[str]]:
    """Make a backup, and give it with the orders that were accepted meanwhile."""
    with Load(api) as load:
        backup = backups.make()
    assert load.failed == {}
    return backup, load.orders


@pytest.mark.quick
def test_a_backup_under_load_is_whole_and_refused_where_it_is_damaged(
    backups: Backups, api: Api, tmp_path: Path
) -> None:
    backup, _ = made_under_load(backups, api)
    assert {path.name for path in backup.iterdir()} == {
        "movies.dump",
        "orders.dump",
        "definitions.json",
        "manifest.json",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup, *backup.iterdir()))
    manifest = json.loads((backup / "manifest.json").read_text())
    assert {dump["name"] for dump in manifest["databases"]} == {"movies", "orders"}

    damaged = damaged_copy(backup, tmp_path / "damaged")
    flip_bit(damaged / "orders.dump", (damaged / "orders.dump").stat().st_size // 2)
    backups.refused(damaged, "orders.dump was changed or damaged", operate_database="orders")


def test_one_database_comes_back_row_by_row(backups: Backups, api: Api) -> None:
    film = api.post("/api/movies", {"title": "Kept \N{SNOWMAN} 'q' \\ \"", "description": "a\nb\tc"}).json()
    order = api.order({"user_id": "kept", "number_of_items": 3, "total_amount": "9.99"})
    api.stored_order(order)
    backup, orders = made_under_load(backups, api)
    manifest = json.loads((backup / "manifest.json").read_text())
    counts = {dump["name"]: dump["rows"][f"public.{dump['name']}"] for dump in manifest["databases"]}

    # Afterwards all of it is in the old database, and only what the backup has in the new one.
    for order_id in orders:
        api.stored_order(order_id)
    before = backups.rows("orders")
    later = api.order({"user_id": "later", "number_of_items": 1, "total_amount": "1"})
    api.stored_order(later)
    result = backups.restore(backup, operate_database="orders")
    assert f"orders: {len(before) + 1} rows before, {counts['orders']} after" in result.text
    assert f"{len(before) + 1 - counts['orders']} rows of orders were stored after that moment" in result.text
    restored = backups.rows("orders")
    assert len(restored) == counts["orders"]
    assert restored.items() <= before.items()
    assert order in restored
    assert api.get(f"/api/billing/{later}").status_code == 404
    assert api.get(f"/api/movies/{film['id']}").json() == film

    # The restored database is one to work with.
    new = api.order({"user_id": "new", "number_of_items": 1, "total_amount": "1"})
    api.stored_order(new)

    backups.discard()
    assert backups.kept("orders") == []
    assert backups.unfinished() == []
