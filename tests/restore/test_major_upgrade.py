"""To the next major version of PostgreSQL and back, with the data of before kept.

Debian 13, which has PostgreSQL 17, must be reachable as a mirror.
"""

from __future__ import annotations

import uuid

import pytest
from tests.library.api import Api
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.point_in_time import PointInTime
from tests.restore.test_point_in_time import is_stored, movie, order

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

UPGRADE = "ansible/upgrade_postgres.yml"
NEXT = 17
ROLES = "SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"
ORDERS = "SELECT to_json(md5(string_agg(orders::text, '' ORDER BY order_id))) FROM orders"


def test_the_next_major_version_has_every_row_and_account_and_one_can_go_back(
    operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    pitr = PointInTime(operator, node, env)
    pitr.archived = ["billing-database"]
    pitr.site("billing-database")
    first = order(api)
    before = (pitr.ask("orders", ORDERS), pitr.ask("orders", ROLES))

    # Another image on the data of before is refused before the container is touched; so is no yes.
    running = pitr.serves("orders")
    pitr.site_fails(
        "holds data of PostgreSQL 15",
        "make upgrade-postgres DATABASE=orders",
        postgres_major=NEXT,
        service="billing-database",
    )
    operator.refused(UPGRADE, "the answer was not yes", postgres_major=NEXT, operate_database="orders")
    assert pitr.serves("orders") == running

    result = pitr.upgrade("orders", postgres_major=NEXT)
    assert f"billing-database is of PostgreSQL {NEXT} now" in result.text
    assert pitr.version("orders") == NEXT
    assert pitr.version("movies") == 15
    assert (pitr.ask("orders", ORDERS), pitr.ask("orders", ROLES)) == before
    assert pitr.leftovers() == []
    assert is_stored(api, first)
    second = order(api)
    assert pitr.site("billing-database", postgres_major=NEXT).changes == []
    assert "already" in pitr.upgrade("orders", postgres_major=NEXT).text

    # The archive is that of the new version.
    found = pitr.status()["billing-database"]
    assert found["oldest"]
    assert found["failing_since"] is None
    moment = pitr.now("orders")
    third = order(api)
    pitr.refused("orders", moment, "make restore-discard", postgres_major=NEXT)

    # The image of before does not serve what was left behind.
    pitr.site_fails("nothing was touched", service="billing-database")

    pitr.upgrade("orders")
    assert pitr.version("orders") == 15
    assert [is_stored(api, one) for one in (first, second, third)] == [True, False, False]
    assert (pitr.ask("orders", ORDERS), pitr.ask("orders", ROLES)) == before
    pitr.discard("orders")
    assert pitr.site("billing-database").changes == []
    assert pitr.status()["billing-database"]["failing_since"] is None
    pitr.archived = []
    pitr.site("billing-database")


def test_an_upgrade_that_is_cut_off_is_finished_or_undone(
    operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    pitr = PointInTime(operator, node, env)
    pitr.archived = []
    kept = movie(api)
    operator.kill_when(
        lambda: "upgrading" in pitr.on_the_volume("movies"),
        UPGRADE,
        postgres_major=NEXT,
        operate_database="movies",
        confirm="yes",
    )
    pitr.healthy("movies")
    pitr.site_fails("was cut off", service="inventory-database", break_lock="yes")
    # An order is accepted whatever is being done to the films.
    api.order({"user_id": f"upgrade {uuid.uuid4()}", "number_of_items": 1, "total_amount": "1"})
    pitr.upgrade("movies", postgres_major=NEXT, break_lock="yes")
    assert pitr.version("movies") == NEXT
    wait_until(lambda: api.get(f"/api/movies/{kept}").status_code == 200, "the film is there", seconds=60)
    assert movie(api) > kept
    pitr.upgrade("movies")
    assert pitr.version("movies") == 15
    assert api.get(f"/api/movies/{kept}").status_code == 200
    pitr.discard("movies")
