"""Going back to a moment: the archive, what it can restore, and what becomes of it when something fails.

The tests build on each other's platform, and the last one turns the archive off again.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.point_in_time import CONTAINERS, PointInTime

pytestmark = pytest.mark.timeout(3600 * PATIENCE)

BOTH = list(CONTAINERS.values())


@pytest.fixture(scope="module")
def pitr(operator: Operator, node: Node, env: dict[str, str]) -> PointInTime:
    """The platform with its archive on."""
    result = PointInTime(operator, node, env)
    result.site()
    return result


def order(api: Api) -> str:
    """Post an order, and give its id when it is stored."""
    order_id = api.order({"user_id": f"pitr {uuid.uuid4()}", "number_of_items": 1, "total_amount": "9.50"})
    api.stored_order(order_id)
    return order_id


def is_stored(api: Api, order_id: str) -> bool:
    status = api.get(f"/api/billing/{order_id}").status_code
    assert status in {200, 404}
    return status == 200


def movie(api: Api) -> int:
    answer = api.post("/api/movies", {"title": f"pitr {uuid.uuid4()}", "description": ""})
    assert answer.status_code == 200
    return int(answer.json()["id"])


def test_turning_it_on_gives_a_base_backup_and_a_second_run_changes_nothing(
    pitr: PointInTime, node: Node
) -> None:
    assert pitr.site().changes == []
    for name, found in pitr.status().items():
        assert found["oldest"], name
        assert found["newest"] >= found["oldest"]
        assert found["failing_since"] is None
    timers = node.run("systemctl list-timers --all --no-legend 'play-with-containers-archive-*'")
    for kind in ("full", "diff"):
        for name in BOTH:
            assert f"play-with-containers-archive-{kind}@{name}.timer" in timers


def test_a_timer_takes_a_backup_of_what_changed(pitr: PointInTime, node: Node) -> None:
    before = pitr.status()["billing-database"]["backups"]
    node.run("systemctl start play-with-containers-archive-diff@billing-database.service")
    assert pitr.status()["billing-database"]["backups"] == before + 1


def test_orders_come_back_to_a_moment_between_two_of_them_while_others_are_accepted(
    pitr: PointInTime, api: Api
) -> None:
    first = order(api)
    moment = pitr.now("orders")
    second = order(api)
    before = pitr.ask("orders", "SELECT to_json(count(*)) FROM orders")
    with Load(api, clients=1) as load:
        result = pitr.restore("orders", moment)
    assert f"orders: {before}" not in result.text, "orders went on being stored"
    assert "were stored after that moment" in result.text
    assert is_stored(api, first)
    assert not is_stored(api, second)
    assert load.failed == {}
    # Those that were accepted before the change are in what is kept, those after it here.
    api.stored_order(load.orders[-1])
    third = order(api)

    pitr.refused("orders", moment, "still keeps", "make restore-undo", "make restore-discard")

    undone = pitr.undo("orders")
    assert " of orders were stored since" in undone.text
    assert is_stored(api, first)
    assert is_stored(api, second)
    assert not is_stored(api, third)
    lost = [order_id for order_id in load.orders if not is_stored(api, order_id)]
    assert lost == load.orders[len(load.orders) - len(lost) :], "not one change, but a hole in the middle"

    pitr.undo("orders")
    assert is_stored(api, third)
    assert not is_stored(api, second)

    pitr.discard("orders")
    assert len([name for name in pitr.on_the_volume("orders") if name == "main" or "restored-" in name]) == 1
    assert is_stored(api, third)
    assert pitr.leftovers() == []


def test_a_restored_database_can_be_brought_back_again(pitr: PointInTime, api: Api) -> None:
    first = order(api)
    moment = pitr.now("orders")
    second = order(api)
    result = pitr.restore("orders", moment)
    assert "1 row of orders was stored after that moment" in result.text
    assert is_stored(api, first)
    assert not is_stored(api, second)
    # On the branch that was left by an undo, too.
    pitr.undo("orders")
    pitr.discard("orders")
    third = order(api)
    later = pitr.now("orders")
    fourth = order(api)
    pitr.restore("orders", later)
    assert [is_stored(api, one) for one in (first, second, third, fourth)] == [True, True, True, False]
    pitr.discard("orders")
    assert pitr.site("billing-database").changes == []


def test_movies_that_were_deleted_come_back_with_the_accounts_of_today(
    pitr: PointInTime, api: Api, env: dict[str, str]
) -> None:
    kept = movie(api)
    # Then, the password was another one; today's is that of .env.
    user = env["INVENTORY_APP_DATABASE_USER"]
    today = pitr.ask("movies", f"SELECT to_json(rolpassword) FROM pg_authid WHERE rolname = '{user}'")  # noqa: S608
    pitr.ask("movies", f"ALTER ROLE {user} PASSWORD 'a-former-password'; SELECT to_json(1)")
    moment = pitr.now("movies")
    pitr.ask("movies", f"ALTER ROLE {user} PASSWORD '{today}'; SELECT to_json(1)")
    assert api.delete(f"/api/movies/{kept}").status_code == 200
    pitr.restore("movies", moment)
    wait_until(lambda: api.get(f"/api/movies/{kept}").status_code == 200, "the movie is back", seconds=60)
    assert movie(api) > kept
    pitr.discard("movies")


def test_a_moment_that_cannot_be_restored_is_refused_with_those_that_can(pitr: PointInTime) -> None:
    found = pitr.status()["billing-database"]
    oldest = datetime.fromisoformat(found["oldest"])
    pitr.refused("orders", str(oldest - timedelta(hours=1)), "choose a time from", str(oldest)[:16])
    pitr.refused("orders", str(oldest + timedelta(days=1)), "choose a time from", str(oldest)[:16])
    pitr.refused("orders", "2026-11-24 12:00:00", "write date, time and time zone")
    pitr.refused("orders", "", "TIME (operate_time) is given, and empty")


def test_a_database_that_is_not_archived_or_none_is_refused(pitr: PointInTime, operator: Operator) -> None:
    moment = pitr.now("orders")
    operator.refused("ansible/restore.yml", "is not archived", operate_database="orders", operate_time=moment)
    operator.refused("ansible/restore.yml", "There is no database ordes", operate_database="ordes")
    operator.refused("site.yml", "cannot be archived", postgres_archive=["rabbitmq"])


def test_without_an_answer_nothing_is_changed(pitr: PointInTime) -> None:
    pitr.refused("orders", pitr.now("orders"), "the answer was not yes", confirm="no")


def test_a_restore_that_is_killed_leaves_a_database_that_serves(
    pitr: PointInTime, api: Api, node: Node
) -> None:
    first = order(api)
    moment = pitr.now("orders")
    second = order(api)

    def beside() -> bool:
        return "billing-database-restore" in node.run("docker ps --format '{{.Names}}'").split()

    pitr.killed_when(beside, "orders", moment)
    assert is_stored(api, second)

    def taken_over() -> bool:
        return len([name for name in pitr.on_the_volume("orders") if name.startswith("restored-")]) > 1

    pitr.restore("orders", moment, break_lock="yes")
    pitr.discard("orders")
    assert is_stored(api, first)
    assert not is_stored(api, second)

    third = order(api)
    later = pitr.now("orders")
    fourth = order(api)
    pitr.killed_when(taken_over, "orders", later)
    pitr.healthy("orders")
    # Whichever is served, it is one of the two, whole.
    assert is_stored(api, third)
    fifth = order(api)
    assert is_stored(api, fourth) or "previous" in pitr.on_the_volume("orders")
    pitr.site("billing-app", break_lock="yes")
    assert is_stored(api, fifth)
    if "previous" in pitr.on_the_volume("orders"):
        pitr.discard("orders")
    else:
        pitr.refused("orders", later, "the answer was not yes", confirm="no")
    assert pitr.leftovers() == []
    assert len([name for name in pitr.on_the_volume("orders") if name.startswith("restored-")]) == 1


def test_an_archive_that_fails_is_told_and_loses_nothing(pitr: PointInTime, api: Api, node: Node) -> None:
    archive = (
        node.run("docker volume inspect -f '{{.Mountpoint}}' billing-database-archive").strip() + "/archive"
    )
    first = order(api)
    node.run(f"chmod 0 {archive}")
    try:
        pitr.ask("orders", "SELECT to_json(pg_switch_wal())")
        wait_until(
            lambda: pitr.status()["billing-database"]["failing_since"], "the status tells it", seconds=180
        )
        wait_until(
            lambda: "ARCHIVING FAILS" in pitr.health_output("orders"), "the health tells it", seconds=60
        )
        moment = pitr.now("orders")
        second = order(api)
        pitr.refused("orders", pitr.now("orders"), "Archiving fails at the moment")
        pitr.healthy("orders")
    finally:
        node.run(f"chmod 0750 {archive}")
    wait_until(
        lambda: pitr.status()["billing-database"]["failing_since"] is None, "it catches up", seconds=180
    )
    pitr.restore("orders", moment)
    assert is_stored(api, first)
    assert not is_stored(api, second)
    pitr.discard("orders")


def test_an_archive_that_fails_for_too_long_begins_anew_and_says_so(
    pitr: PointInTime, api: Api, node: Node
) -> None:
    pitr.site("billing-database", postgres_archive_queue="32MiB")
    archive = (
        node.run("docker volume inspect -f '{{.Mountpoint}}' billing-database-archive").strip() + "/archive"
    )
    before = pitr.now("orders")
    node.run(f"chmod 0 {archive}")
    try:
        for _ in range(4):
            pitr.ask(
                "orders",
                "SELECT json_build_array(pg_logical_emit_message(false, 'test', 'x')::text, pg_switch_wal())",
            )
        wait_until(lambda: pitr.status()["billing-database"]["oldest"] is None, "there is a gap", seconds=300)
        order(api)
    finally:
        node.run(f"chmod 0750 {archive}")
    pitr.refused("orders", before, "there is no base backup yet")
    pitr.site("billing-database")
    found = pitr.status()["billing-database"]
    assert datetime.fromisoformat(found["oldest"]) > datetime.fromisoformat(before)


def test_a_lost_volume_comes_back_from_the_archive(pitr: PointInTime, api: Api, node: Node) -> None:
    orders = [order(api) for _ in range(3)]
    node.run("docker exec billing-database archive-now")
    node.run("docker rm -f billing-database && docker volume rm billing-database")
    pitr.site_fails(
        "is of other data", "make restore DATABASE=orders TIME=latest", service="billing-database"
    )
    pitr.restore("orders", "latest")
    assert all(is_stored(api, one) for one in orders)
    pitr.discard("orders")
    assert pitr.site("billing-database").changes == []
    assert is_stored(api, order(api))


def test_turning_it_off_keeps_the_data_and_a_new_start_begins_anew(
    pitr: PointInTime, api: Api, node: Node
) -> None:
    kept = order(api)
    before = pitr.now("orders")
    pitr.archived = []
    pitr.site()
    assert pitr.site().changes == []
    assert is_stored(api, kept)
    assert pitr.status() == dict.fromkeys(BOTH)
    assert node.run("systemctl list-timers --all --no-legend 'play-with-containers-archive-*'") == ""
    mounts = node.inspect("billing-database")["billing-database"]["Mounts"]
    assert [mount["Name"] for mount in mounts if mount["Type"] == "volume"] == ["billing-database"]

    pitr.archived = ["billing-database"]
    pitr.site("billing-database")
    pitr.refused("orders", before, "choose a time from")
    assert pitr.status()["inventory-database"] is None
    pitr.archived = []
    pitr.site()
