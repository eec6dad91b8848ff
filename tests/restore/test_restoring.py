"""Restoring: after a loss of everything, while it is killed, and what apps and migrations find afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.support import wait_until
from tests.node.node import Node
from tests.node.test_databases import ACCOUNTS, BILLING, INVENTORY
from tests.operations.operator import Operator, copy_of_sources, finish
from tests.restore.backups import DATABASES, Backups, damaged_copy, rewrite

pytestmark = pytest.mark.timeout(3600)

# Every kind of character that could get lost: quotes, backslashes, line breaks, tabs, the end of Unicode.
RANDOM_FILMS = r"""
INSERT INTO movies (title, description)
SELECT n || ' ' || left(md5(random()::text), 1 + (random() * 30)::int),
       (SELECT string_agg(chr((ARRAY[9, 10, 13, 34, 36, 39, 92, 228, 8364, 128512, 1114109])
                              [1 + (random() * 10)::int]) || md5(random()::text), '')
        FROM generate_series(0, n % 7))
FROM generate_series(1, 20000) n
"""
RANDOM_ORDERS = r"""
INSERT INTO orders (order_id, user_id, number_of_items, total_amount, film_id)
SELECT gen_random_uuid(), chr(92) || chr(39) || md5(random()::text), 1 + (random() * 2147483646)::int,
       CASE WHEN random() < 0.2 THEN NULL ELSE (random() * 9999999999.99)::numeric(12, 2) END,
       CASE WHEN random() < 0.5 THEN NULL ELSE (random() * 9e18)::bigint END
FROM generate_series(1, 20000) n
"""


def test_everything_is_lost_and_comes_back_row_by_row(
    backups: Backups, operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    backups.execute("movies", RANDOM_FILMS, name="movies")
    backups.execute("orders", RANDOM_ORDERS, name="orders")
    with Load(api) as load:
        known = {database: backups.rows(database) for database in DATABASES}
        backup = backups.make()
    assert load.failed == {}
    for order in load.orders:
        api.stored_order(order)
    after = {database: backups.rows(database) for database in DATABASES}

    node.run("docker rm --force $(docker ps -aq) && docker volume rm $(docker volume ls --quiet)")
    operator.run("site.yml")
    assert api.get("/api/movies").json() == {"movies": []}

    result = backups.restore(backup)
    assert "movies and orders are replaced by the backup" in result.text
    for database in DATABASES:
        restored = backups.rows(database)
        # All that was there when the backup began, nothing that was never there, and each row as it was.
        assert known[database].items() <= restored.items() <= after[database].items()

    # The platform is as its description says, and the apps can do their work and no more.
    assert operator.run("site.yml").changes == []
    for described in (INVENTORY, BILLING):
        facts = node.psql(
            described.container,
            env["POSTGRES_USER"],
            described.name,
            ACCOUNTS.format(app=described.user(env, described.app), table=described.table),
        )
        assert facts["owned"] == 0
        assert facts["create"] is False
        assert facts["databases"] == [described.name]
        assert {table: set(rights) for table, rights in facts["tables"].items()} == described.rights
        assert facts["owner"] == described.user(env, described.migrations)
    film = api.post("/api/movies", {"title": "After", "description": ""}).json()
    assert film["id"] > max(map(int, backups.rows("movies").keys() - {str(film["id"])}))
    assert api.delete(f"/api/movies/{film['id']}").json() == {"deleted": 1}
    api.stored_order(api.order({"user_id": "after", "number_of_items": 1, "total_amount": "1"}))
    backups.discard()


def beside(node: Node, name: str) -> bool:
    """Say whether a database is being loaded beside the one that serves."""
    return f"{name}-restore" in node.run("docker ps --format '{{.Names}}'").split()


def test_orders_that_are_accepted_during_a_restore_are_in_one_of_the_two_databases(
    backups: Backups, operator: Operator, node: Node, api: Api
) -> None:
    backup = backups.make()
    before = backups.rows("orders")
    process = operator.start(
        "ansible/restore.yml", operate_from=str(backup), operate_database="orders", confirm="yes"
    )
    wait_until(lambda: beside(node, "billing-database"), "it begins", seconds=600)
    with Load(api) as load:
        output = finish(process)
    assert process.returncode == 0, output
    assert load.failed == {}
    api.stored_order(load.orders[-1], seconds=120)
    restored = backups.rows("orders")
    assert before.items() <= restored.items()
    undone = backups.undo()
    kept = backups.rows("orders")
    assert f"{len(restored.keys() - kept.keys())} rows of orders were stored since" in undone.text
    assert set(load.orders) <= restored.keys() | kept.keys()
    told = len(set(load.orders) & kept.keys())
    assert f"{told} rows of orders were stored after that moment and are not in it" in " ".join(
        output.split()
    )
    backups.discard()


@pytest.mark.parametrize("victim", ["the run", "the program", "the loading"])
def test_a_restore_that_is_killed_leaves_the_old_database_and_the_next_one_works(
    backups: Backups, operator: Operator, node: Node, api: Api, victim: str
) -> None:
    backups.execute("movies", RANDOM_FILMS, name="movies")
    backup = backups.make()
    before = backups.rows("movies")
    variables: dict[str, Any] = {"operate_from": str(backup), "operate_database": "movies", "confirm": "yes"}
    # The moment is a short one: the machine itself waits for it. A name in brackets does not find itself.
    kill = {
        "the run": "true",
        "the program": "kill -9 $(cat /run/play-with-containers-backup/lock)",
        # What was found may be the command that starts it in the container.
        "the loading": 'timeout 60 sh -c "until pkill -9 -x pg_restore; do :; done"',
    }[victim]
    node.run(
        'nohup sh -c \'until pgrep --full "[p]g_restore .*--single-transaction"; do :; done; '
        f"touch /run/loading; {kill}' > /dev/null 2>&1 &"
    )

    def has_begun() -> bool:
        return node.run("ls /run/loading 2>/dev/null || true") != ""

    if victim == "the run":
        operator.kill_when(has_begun, "ansible/restore.yml", **variables)
    else:
        process = operator.start("ansible/restore.yml", **variables)
        output = finish(process)
        assert process.returncode != 0, output
        assert has_begun(), output
        assert backups.unfinished() == []
    node.run("rm /run/loading")
    assert backups.kept("movies") == []
    assert backups.rows("movies") == before
    assert api.post("/api/movies", {"title": "Meanwhile", "description": ""}).status_code == 200
    backups.restore(backup, operate_database="movies", break_lock="yes")
    assert backups.rows("movies") == before
    assert backups.unfinished() == []
    backups.discard()


def test_of_two_databases_none_is_switched_if_one_cannot_be_restored(
    backups: Backups, operator: Operator, tmp_path: Path
) -> None:
    forged = damaged_copy(backups.make(), tmp_path / "forged")
    rewrite(forged, lambda values: values["databases"][1]["rows"].update({"public.orders": 123_456}))
    before = backups.state()
    operator.refused(
        "ansible/restore.yml", "is not what the manifest says", operate_from=str(forged), confirm="yes"
    )
    assert backups.state() == before


def test_the_schema_of_an_older_backup_is_brought_forward(
    backups: Backups, operator: Operator, node: Node, env: dict[str, str], api: Api, tmp_path: Path
) -> None:
    backup = backups.make()
    sources = copy_of_sources(tmp_path)
    (sources / "inventory-app/inventory_app/migrations/versions/0003_of_a_test.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = '0003'\ndown_revision = '0002'\n\n\n"
        "def upgrade() -> None:\n    op.add_column('movies', sa.Column('of_a_test', sa.Integer))\n"
    )
    columns = "SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = 'movies'::regclass AND attnum > 0"
    newer: dict[str, Any] = {"container_build_root": str(sources), "operate_service": "inventory-app"}
    operator.run("site.yml", **newer)
    assert "of_a_test" in node.psql("inventory-database", env["POSTGRES_USER"], "movies", columns)
    backups.restore(backup, operate_database="movies")
    assert "of_a_test" in node.psql("inventory-database", env["POSTGRES_USER"], "movies", columns)
    assert api.get("/api/movies?limit=1").status_code == 200
    assert operator.run("site.yml", **newer).changes == []
    operator.run("site.yml", operate_service="inventory-app")
    backups.discard()


def test_what_is_kept_is_told_and_keeps_a_second_restore_away(backups: Backups, operator: Operator) -> None:
    backup = backups.make()
    served = backups.served("movies")
    backups.restore(backup, operate_database="movies")
    backups.refused(backup, "inventory-database still keeps", "make restore-discard DATABASE=movies")
    status = operator.run("ansible/status.yml", answer_only=True)
    assert "kept from before restores: movies (" in status.text
    operator.refused("ansible/restore_discard.yml", "Nothing was done", "for good")
    assert backups.kept("movies") == [served]
    assert "what movies served before is removed for good" in backups.discard().text
    assert backups.kept("movies") == []


def test_undo_and_discard_have_nothing_to_do_without_a_restore(backups: Backups, operator: Operator) -> None:
    # What a test that failed may have left.
    backups.discard()
    operator.refused("ansible/restore_undo.yml", "there is nothing to put back")
    result = backups.discard()
    assert "nothing of before a restore was kept" in result.text
    assert result.changes == []
