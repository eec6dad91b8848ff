"""To the next major version of PostgreSQL and back, with the data of before kept.

Debian 13, which has PostgreSQL 17, must be reachable as a mirror.
"""

from __future__ import annotations

import uuid

import pytest
from tests.api import Api
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.point_in_time import PointInTime
from tests.restore.test_point_in_time import is_stored, movie, order
from tests.settings import PATIENCE
from tests.support import wait_until

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

UPGRADE = "ansible/upgrade_postgres.yml"
NEXT = 17
NAMES = "SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"


def version(pitr: PointInTime, database: str) -> int:
    return int(pitr.ask(database, "SELECT to_json(current_setting('server_version_num'))")) // 10000


def test_the_next_major_version_has_every_row_and_account_and_one_can_go_back(
    operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    pitr = PointInTime(operator, node, env)
    first = order(api)
    orders = "SELECT md5(string_agg(orders::text, '' ORDER BY order_id))::text FROM orders"
    before = pitr.ask("orders", f"SELECT to_json(({orders}))")
    roles = pitr.ask("orders", NAMES)
    running = pitr.serves("orders")

    # Another image on the data of before is refused before the container is touched.
    operator.refused(
        "site.yml",
        "holds data of PostgreSQL 15",
        "make upgrade-postgres DATABASE=orders",
        postgres_major=NEXT,
        operate_service="billing-database",
    )
    assert pitr.serves("orders") == running
    # Without a yes, too.
    operator.refused(UPGRADE, "the answer was not yes", postgres_major=NEXT, operate_database="orders")
    assert pitr.serves("orders") == running

    result = operator.run(UPGRADE, postgres_major=NEXT, operate_database="orders", confirm="yes")
    assert f"billing-database is of PostgreSQL {NEXT} now" in result.text
    assert version(pitr, "orders") == NEXT
    assert version(pitr, "movies") == 15
    assert pitr.ask("orders", f"SELECT to_json(({orders}))") == before
    assert pitr.ask("orders", NAMES) == roles
    assert pitr.leftovers() == []
    assert is_stored(api, first)
    second = order(api)
    again = operator.run("site.yml", postgres_major=NEXT, operate_service="billing-database")
    assert again.changed == 0
    assert "already" in operator.run(UPGRADE, postgres_major=NEXT, operate_database="orders").text

    # The image of before does not serve what was left behind.
    operator.refused("site.yml", "nothing was touched", operate_service="billing-database")

    operator.run(UPGRADE, operate_database="orders", confirm="yes")
    assert version(pitr, "orders") == 15
    assert is_stored(api, first)
    assert not is_stored(api, second)
    assert pitr.ask("orders", f"SELECT to_json(({orders}))") == before
    pitr.discard("orders")
    assert operator.run("site.yml", operate_service="billing-database").changed == 0


def test_an_upgrade_that_is_cut_off_is_finished_or_undone(
    operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    pitr = PointInTime(operator, node, env)
    kept = movie(api)
    operator.kill_when(
        lambda: "upgrading" in pitr.on_the_volume("movies"),
        UPGRADE,
        postgres_major=NEXT,
        operate_database="movies",
        confirm="yes",
    )
    pitr.healthy("movies")
    operator.refused("site.yml", "was cut off", operate_service="inventory-database", break_lock="yes")
    # An order is accepted whatever is being done to the films.
    api.order({"user_id": f"upgrade {uuid.uuid4()}", "number_of_items": 1, "total_amount": "1"})
    operator.run(UPGRADE, postgres_major=NEXT, operate_database="movies", confirm="yes", break_lock="yes")
    assert version(pitr, "movies") == NEXT
    wait_until(lambda: api.get(f"/api/movies/{kept}").status_code == 200, "the film is there", seconds=60)
    assert movie(api) > kept
    operator.run(UPGRADE, operate_database="movies", confirm="yes")
    assert version(pitr, "movies") == 15
    assert api.get(f"/api/movies/{kept}").status_code == 200
    pitr.discard("movies")
