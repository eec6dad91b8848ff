"""Updating, undoing, and what becomes of it when the new image is broken or the run is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator, Result, append, copy_of_sources

pytestmark = pytest.mark.timeout(3600)

SERVICE = "inventory-app"
WSGI = "inventory-app/inventory_app/wsgi.py"
FAILS_IN_ITS_PLACE = """
import socket

if not socket.gethostname().endswith("-candidate"):
    raise RuntimeError("broken on purpose")
"""
MIGRATION = '''"""A column more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("movies", sa.Column("note", sa.Text))
'''
NEEDS_THE_COLUMN = """
from sqlalchemy import text
from inventory_app.repository import Movies

_page = Movies.page

def _page_after_a_note(self, **arguments):
    with self._engine.connect() as connection:
        connection.execute(text("SELECT note FROM movies LIMIT 1"))
    return _page(self, **arguments)

Movies.page = _page_after_a_note
"""


def image_of(node: Node, name: str) -> str:
    return str(node.inspect(name)[name]["Config"]["Image"])


def id_of(node: Node, name: str) -> str:
    return str(node.inspect(name)[name]["Id"])


def leftovers(node: Node) -> list[str]:
    names = node.run("docker ps -a --format '{{.Names}}'").split()
    return [name for name in names if name.endswith(("-candidate", "-next", "-previous", "-migration"))]


def psql(statement: str) -> str:
    command = f'psql -h /run/postgresql -p $POSTGRES_PORT -U $POSTGRES_USER -d movies -c "{statement}"'
    return f"docker exec inventory-database sh -c '{command}'"


def listed(operator: Operator) -> list[str]:
    """Give the images that `make history` lists, in its order."""
    output = operator.run("ansible/history.yml", answer_only=True, operate_service=SERVICE).output
    return [word for line in output.splitlines() for word in line.split() if word.startswith(f"{SERVICE}:")]


def deploy(operator: Operator, sources: Path, service: str = SERVICE) -> Result:
    """Build and roll out one service from changed sources."""
    return operator.run("site.yml", container_build_root=str(sources), operate_service=service)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param("crashes", "exit code", id="crashes at start"),
        pytest.param("sick", "health check says", id="starts but is never healthy"),
        pytest.param(
            "lies",
            "fails at real work",
            id="healthy but fails its first real request",
            marks=pytest.mark.quick,
        ),
    ],
)
def test_a_broken_image_never_replaces_the_one_that_serves(
    operator: Operator, node: Node, load: Load, sources: Path, how: str, reason: str
) -> None:
    if how == "crashes":
        append(sources, WSGI, 'raise RuntimeError("broken on purpose")')
    elif how == "sick":
        append(
            sources,
            WSGI,
            "app.view_functions['health.ready'] = lambda: ('not ready', 503)",
        )
    else:
        append(
            sources,
            WSGI,
            "app.view_functions = {k: v for k, v in app.view_functions.items() if 'health' in k}",
        )
    before = id_of(node, SERVICE)
    result = operator.attempt("site.yml", container_build_root=str(sources), operate_service=SERVICE)
    assert result.code != 0
    assert "the old one was left running" in result.text
    assert reason in result.text
    assert id_of(node, SERVICE) == before
    assert leftovers(node) == []
    wait_until(lambda: load.total > 20, "requests went on")
    assert load.failed == {}


def test_the_old_container_is_put_back_where_the_new_one_fails_in_its_place(
    operator: Operator, node: Node, load: Load, sources: Path
) -> None:
    append(sources, WSGI, FAILS_IN_ITS_PLACE)
    before = id_of(node, SERVICE)
    result = operator.attempt("site.yml", container_build_root=str(sources), operate_service=SERVICE)
    assert result.code != 0
    assert "failed and the old one was put back" in result.text
    assert id_of(node, SERVICE) == before
    assert leftovers(node) == []
    assert load.failed == {}


def test_a_build_goes_through_the_proxy_that_is_named_and_one_that_fails_touches_nothing(
    operator: Operator, node: Node, sources: Path
) -> None:
    append(sources, "inventory-app/requirements.txt", "# the packages are downloaded again")
    before = id_of(node, SERVICE)
    operator.refused(
        "site.yml",
        "could not be built; what runs was not touched",
        "Connection refused",
        container_build_root=str(sources),
        operate_service=SERVICE,
        platform_proxy={"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    )
    assert id_of(node, SERVICE) == before


def with_note(sources: Path) -> None:
    """Make a version that adds a column to its table, and needs it."""
    (sources / "inventory-app/inventory_app/migrations/versions/0003_note.py").write_text(MIGRATION)
    append(sources, WSGI, NEEDS_THE_COLUMN)


def test_an_update_a_rollback_and_the_way_forward(
    operator: Operator, node: Node, api: Api, sources: Path
) -> None:
    first = image_of(node, SERVICE)
    others = {name: id_of(node, name) for name in ("billing-app", "rabbitmq", "inventory-database")}
    pristine = copy_of_sources(sources.parent / "pristine")
    with_note(sources)
    deploy(operator, sources)
    second = image_of(node, SERVICE)
    assert second != first
    assert {name: id_of(node, name) for name in others} == others, "only the changed service is replaced"

    # Over a migration, which only added.
    result = operator.run("ansible/rollback.yml", operate_service=SERVICE)
    assert f"runs {first}" in result.text
    assert image_of(node, SERVICE) == first
    assert api.get("/api/movies?limit=1").status_code == 200

    # The next run leaves it there, and says so.
    held = deploy(operator, sources)
    assert held.changes == []
    assert f"{SERVICE} runs {first.partition(':')[2]}, as decided with `make rollback`" in held.text

    # It ends with another change of the sources.
    append(sources, WSGI, "# a third version")
    result = deploy(operator, sources)
    assert "as decided with `make rollback`" not in result.text
    third = image_of(node, SERVICE)
    assert third not in {first, second}
    assert listed(operator) == [third, first, second], "what ran before is below what runs"

    # The image that was built first is deployed again: what was deployed before it was built after it.
    deploy(operator, pristine)
    assert image_of(node, SERVICE) == first
    operator.run("ansible/rollback.yml", operate_service=SERVICE)
    assert image_of(node, SERVICE) == third
    assert deploy(operator, pristine).changes == [], "the next run leaves it there"
    assert image_of(node, SERVICE) == third

    # Of four images, those that were deployed last are kept.
    append(pristine, WSGI, "# a fourth version")
    deploy(operator, pristine)
    fourth = image_of(node, SERVICE)
    assert listed(operator) == [fourth, third, first]
    assert deploy(operator, pristine).changes == []

    # The one before needs what is no longer there: it is refused, and says why.
    node.run(psql("ALTER TABLE movies DROP COLUMN note"))
    try:
        operator.refused(
            "ansible/rollback.yml",
            "the old one was left running",
            "fails at real work",
            operate_service=SERVICE,
        )
    finally:
        node.run(psql("ALTER TABLE movies ADD COLUMN note text"))
    assert image_of(node, SERVICE) == fourth
    assert "as decided with `make rollback`" not in deploy(operator, pristine).text
    assert api.get("/api/movies?limit=1").status_code == 200


@pytest.mark.parametrize("helper", ["candidate", "previous"])
def test_a_run_that_is_cut_off_is_finished_or_undone_by_the_next(
    operator: Operator, node: Node, api: Api, sources: Path, helper: str
) -> None:
    append(sources, WSGI, f"# cut off when there is a {helper}")
    operator.kill_when(
        lambda: f"{SERVICE}-{helper}" in leftovers(node),
        "site.yml",
        container_build_root=str(sources),
        operate_service=SERVICE,
    )
    operator.refused("ansible/start.yml", "That run is over and left its lock behind", "break_lock=yes")
    operator.run("site.yml", container_build_root=str(sources), operate_service=SERVICE, break_lock="yes")
    assert leftovers(node) == []
    assert node.inspect(SERVICE)[SERVICE]["State"]["Health"]["Status"] == "healthy"
    assert api.get("/api/movies?limit=1").status_code == 200
    assert deploy(operator, sources).changes == []


def test_what_was_changed_or_removed_by_hand_is_put_right(operator: Operator, node: Node) -> None:
    operator.run("site.yml")
    node.run("docker update --memory 200m --memory-swap 200m billing-app && docker rm -f inventory-app")
    check = operator.run("site.yml", "--check")
    assert check.changes
    assert "inventory-app" not in node.run("docker ps -a --format '{{.Names}}'").split()
    assert node.inspect("billing-app")["billing-app"]["HostConfig"]["Memory"] == 200 * 2**20
    assert operator.run("site.yml").changes
    assert node.inspect("billing-app")["billing-app"]["HostConfig"]["Memory"] == 256 * 2**20
    assert node.inspect("inventory-app")["inventory-app"]["State"]["Running"]
    assert operator.run("site.yml").changes == []


def test_an_app_without_replicas_is_replaced_without_a_failed_request(
    operator: Operator, node: Node, load: Load, sources: Path
) -> None:
    append(sources, WSGI, "# another version, under load")
    before = id_of(node, SERVICE)
    deploy(operator, sources)
    assert id_of(node, SERVICE) != before
    assert load.failed == {}
    back = operator.run("site.yml", operate_service=SERVICE)
    print(f"{SERVICE}: replaced in {back.seconds:.0f} s, {load.total} requests, failed: {load.failed}")
    assert load.failed == {}


def test_the_gateway_is_replaced_within_five_seconds_and_loses_no_order(
    operator: Operator, api: Api, sources: Path
) -> None:
    append(sources, "api-gateway-app/api_gateway_app/wsgi.py", "# another version")
    with Load(api) as load:
        deploy(operator, sources, "api-gateway-app")
    print(f"gateway: {load.longest_silence:.1f} s without an answer, of {load.total} requests {load.failed}")
    for order_id in load.orders:
        api.stored_order(order_id, seconds=120)
    assert load.longest_silence < 5 * PATIENCE
    # The tests that follow begin with what the sources say.
    operator.run("site.yml", operate_service="api-gateway-app")


def test_a_new_base_is_built_and_rolled_out(operator: Operator, node: Node, api: Api) -> None:
    before = {name: image_of(node, name) for name in ("inventory-app", "rabbitmq", "billing-database")}
    operator.run("ansible/update_base.yml")
    after = {name: image_of(node, name) for name in before}
    assert all(after[name] != before[name] for name in before)
    assert operator.run("site.yml").changes == []
    assert api.get("/api/movies?limit=1").status_code == 200
