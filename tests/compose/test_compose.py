"""compose.yaml with a real Docker Compose: the commands of the starting document, as they are typed."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
from plugin_loader import load_plugin
from tests.compose.project import Project
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.settings import ENV_FILE, ROOT, load_env
from tests.library.support import wait_until
from tests.node.platform import NAMES, NETWORK, SERVICES

postgres = load_plugin("roles/postgres/filter_plugins/postgres_plan.py")
rabbitmq = load_plugin("roles/rabbitmq/filter_plugins/rabbitmq_definitions.py")

pytestmark = pytest.mark.timeout(1800)
ORDER = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}


def wait_healthy(project: Project, containers: int = len(NAMES)) -> None:
    wait_until(
        lambda: list(project.health().values()) == ["healthy"] * containers,
        "all are healthy",
        120,
        interval=1,
    )


def stored(project: Project, order_ids: list[str]) -> tuple[int, int]:
    """How many of these orders are stored, and how many rows that takes."""
    ids = ", ".join(f"'{order_id}'" for order_id in order_ids)
    query = f"SELECT count(DISTINCT order_id), count(*) FROM orders WHERE order_id IN ({ids})"  # noqa: S608
    distinct, rows = project.psql("billing-database", "orders", query).split("|")
    return int(distinct), int(rows)


# --- what runs ------------------------------------------------------------------------------


def test_all_are_healthy_after_up(project: Project) -> None:
    assert project.health() == {project.container(name): "healthy" for name in NAMES}


def test_what_runs_once_has_ended_well(project: Project) -> None:
    services = project("config", "--services").split()
    states = [json.loads(line) for line in project("ps", "--all", "--format", "json").splitlines()]
    once = {state["Service"]: (state["State"], state["ExitCode"]) for state in states}
    assert {name: once[name] for name in services if name not in NAMES} == {
        name: ("exited", 0) for name in services if name not in NAMES
    }
    assert len(services) == len(NAMES) + 6


def test_network_and_volumes_have_the_names_of_the_contract(project: Project) -> None:
    for service in SERVICES:
        [found] = json.loads(project.docker("inspect", project.container(service.name)))
        assert list(found["NetworkSettings"]["Networks"]) == [NETWORK]
        assert service.name in found["NetworkSettings"]["Networks"][NETWORK]["Aliases"]
        volumes = {mount["Name"] for mount in found["Mounts"] if mount["Type"] == "volume"}
        assert set(service.volumes) <= volumes
        assert not [mount for mount in found["Mounts"] if mount["Type"] == "bind"]
        assert not found["Config"]["Image"].endswith(":latest")


def test_the_management_page_is_published_on_loopback_only(project: Project) -> None:
    assert project.docker("port", "rabbitmq").split() == ["15672/tcp", "->", "127.0.0.1:15673"]


def test_no_secret_is_in_the_description_of_a_container_or_in_a_log(project: Project) -> None:
    passwords = [value for key, value in load_env(ENV_FILE).items() if key.endswith(("_PASSWORD", "_PASS"))]
    shown = project.docker("inspect", *project.containers()) + project("logs", "--no-color")
    assert not [number for number, password in enumerate(passwords) if password in shown]


def test_a_secret_is_readable_by_its_containers_user_only(project: Project) -> None:
    script = "stat -c '%a %u' /run/secrets /run/secrets/*; id -u"
    for name in NAMES:
        *files, user = project("exec", "-T", name, "sh", "-c", script).splitlines()
        assert set(files) == {f"500 {user}", f"400 {user}"}, name
        refused = project.try_to("exec", "-T", "--user", "12345", name, "sh", "-c", "cat /run/secrets/*")
        assert refused.returncode != 0
    left = project.try_on_node("docker", "cp", "play-with-containers-secrets-1:/run/values", "-")
    assert left.returncode != 0, "the container that wrote the secrets still has them"


def test_the_databases_are_what_the_role_would_make(project: Project) -> None:
    env = load_env(ENV_FILE)
    for server, database, prefix in (
        ("inventory-database", "movies", "INVENTORY"),
        ("billing-database", env["POSTGRES_DB"], "BILLING"),
    ):
        entry = {
            "database": database,
            "administrator": {"user": env["POSTGRES_USER"], "password": env["POSTGRES_PASSWORD"]},
            "owner": _account(env, f"{prefix}_MIGRATIONS_DATABASE"),
            "app": _account(env, f"{prefix}_APP_DATABASE"),
        }
        assert postgres.postgres_differences(project.told(server, "describe-cluster"), entry) == []


def _account(env: dict[str, str], prefix: str) -> dict[str, str]:
    return {"user": env[f"{prefix}_USER"], "password": env[f"{prefix}_PASSWORD"]}


def test_the_broker_has_what_it_was_told(project: Project) -> None:
    found = project.told("rabbitmq", "rabbitmqctl", "--quiet", "export_definitions", "-")
    wanted = project.told("rabbitmq", "cat", "/run/secrets/definitions.json")
    for user in wanted["users"]:
        # The broker has its hash.
        del user["password"]
    assert rabbitmq.rabbitmq_differences(found, wanted) == []
    assert rabbitmq.rabbitmq_undescribed(found, wanted) == []


# --- the commands of the starting document ----------------------------------------------------


def test_logs_follow(project: Project) -> None:
    followed = project.try_on_node("timeout", "5", "docker", "compose", "logs", "-f", "api-gateway-app")
    assert followed.returncode == 124, "it was still following"
    assert "api-gateway-app  |" in followed.stdout


def test_pg_dump_writes_the_orders(project: Project, api: Api) -> None:
    order_id = api.order(ORDER)
    wait_until(lambda: api.get(f"/api/billing/{order_id}").status_code == 200, "the order is stored")
    dump = project("exec", "-T", "billing-database", "pg_dump", "-U", "postgres", "orders")
    assert order_id in dump


def test_rabbitmqctl_tells_the_status(project: Project) -> None:
    assert "RabbitMQ version: 3." in project("exec", "-T", "rabbitmq", "rabbitmqctl", "status")


def test_inventory_app_is_scaled_to_three_and_back_under_load(project: Project, api: Api) -> None:
    with Load(api, rate=60) as load:
        project("up", "--detach", "--wait", "--scale", "inventory-app=3")
        assert len(project.containers("inventory-app")) == 3
        wait_until(lambda: len(set(_addresses(project))) == 3, "the name leads to three containers")
        _wait_for_more(load, 300)
        project("up", "--detach", "--wait", "--scale", "inventory-app=1")
    print(f"{load.total} requests, failed: {load.failed}, longest silence {load.longest_silence:.1f} s")
    assert load.failed == {}
    wait_until(
        lambda: stored(project, load.orders) == (len(load.orders),) * 2, "each order is stored once", 60
    )


def _addresses(project: Project) -> list[str]:
    script = (
        "import json, socket; print(json.dumps([a[4][0] for a in socket.getaddrinfo('inventory-app', 8080)]))"
    )
    addresses: list[str] = project.told("api-gateway-app", "python", "-c", script)
    return addresses


def _wait_for_more(load: Load, requests: int) -> None:
    before = load.total
    wait_until(lambda: load.total >= before + requests, "the load goes on")


def test_a_database_that_crashes_comes_back_with_its_socket(project: Project) -> None:
    count = ("inspect", "--format", "{{.RestartCount}}", "billing-database")
    before = int(project.docker(*count))
    # Everything but the init process, which ends with its only child: a crash.
    project.try_on_node("docker", "exec", "billing-database", "sh", "-c", "kill -9 -1")
    wait_until(lambda: int(project.docker(*count)) == before + 1, "it is back", 60)
    wait_healthy(project)
    project("up", "--detach", "--wait")
    assert "the database orders and the accounts" in project(
        "logs", "--tail", "1", "billing-database-accounts"
    )


def test_a_password_that_changes_is_changed_everywhere(project: Project, api: Api) -> None:
    project.set(
        POSTGRES_PASSWORD="'another \"one\" with $igns and \\ in it'",
        BILLING_APP_DATABASE_PASSWORD="'another \"one\" with $igns'",
        BILLING_APP_RABBITMQ_PASSWORD="'another \\ with \"quotes\" and $igns'",
    )
    project("up", "--detach")
    project("restart", "rabbitmq", "billing-app")
    wait_healthy(project)
    test_the_databases_are_what_the_role_would_make(project)
    order_id = api.order(ORDER)
    wait_until(lambda: api.get(f"/api/billing/{order_id}").status_code == 200, "the order is stored")


def test_stop_and_start(project: Project) -> None:
    project("stop")
    assert project.health() == {}
    project("start")
    wait_healthy(project)


def test_down_keeps_the_data_and_down_v_removes_it(project: Project, api: Api) -> None:
    movie = api.post("/api/movies", {"title": "kept", "description": ""}).json()
    project("down")
    project("up", "--detach", "--wait")
    assert api.get(f"/api/movies/{movie['id']}").json() == movie
    project("down", "-v")
    assert project.docker("volume", "ls", "--quiet") == ""
    project("up", "--detach", "--wait")
    assert api.get("/api/movies").json()["movies"] == []


def test_a_token_is_asked_for_when_env_has_one_and_nothing_restarts(project: Project) -> None:
    before = ENV_FILE.read_text()
    started = project.docker("inspect", "--format", "{{.State.StartedAt}}", "api-gateway-app")
    contract = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/contract/test_api_token.py"]
    for text, count in ((f"{before}API_TOKEN={secrets.token_hex(32)}\n", "5 passed"), (before, "1 passed")):
        project.write_env(text)
        project("up", "--detach", "--wait")
        done = subprocess.run(contract, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-5000:]
        assert count in done.stdout
    assert project.docker("inspect", "--format", "{{.State.StartedAt}}", "api-gateway-app") == started


# --- bad input --------------------------------------------------------------------------------


@pytest.fixture
def spoilt(project: Project) -> Iterator[Project]:
    """The project, whose `.env` a test may spoil, and which it may stop."""
    right = ENV_FILE.read_text()
    yield project
    project.write_env(right)
    project("up", "--detach", "--wait")


def refused(project: Project, *options: str) -> str:
    """What is said when it does not come up."""
    done = project.try_to("up", "--detach", *options)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    print(said)
    return said


def test_without_env_it_says_what_to_do(spoilt: Project) -> None:
    spoilt.on_node("rm", ".env")
    assert "scripts/make_env makes .env" in refused(spoilt)


def test_a_line_of_env_that_is_none_is_told_with_its_number(spoilt: Project) -> None:
    text = ENV_FILE.read_text()
    spoilt.write_env(text + "this is no setting\n")
    assert f"line {text.count(chr(10)) + 1}" in refused(spoilt)


def test_an_empty_password_is_told_with_its_name(spoilt: Project) -> None:
    spoilt.set(POSTGRES_PASSWORD="")
    assert "variable POSTGRES_PASSWORD is missing a value: scripts/make_env" in refused(spoilt)


def test_what_is_wrong_in_env_is_told(spoilt: Project) -> None:
    running = spoilt("ps", "--quiet")
    spoilt.set(BILLING_APP_DATABASE_PASSWORD="short", HEALTH_RABBITMQ_USER="'no name'")
    assert 'service "secrets" didn\'t complete successfully' in refused(spoilt)
    said = spoilt("logs", "secrets")
    assert "BILLING_APP_DATABASE_PASSWORD in .env has 5 characters: use at least 12." in said
    assert "HEALTH_RABBITMQ_USER in .env is 'no name', which is no account name" in said
    assert "short" not in said
    assert spoilt("ps", "--quiet") == running


def test_ports_that_are_taken_are_told_before_anything_starts(spoilt: Project) -> None:
    spoilt("down")
    for port in ("3000", "15673"):
        program = ("python3", "-m", "http.server", "--bind", "127.0.0.1", port)
        spoilt.on_node("systemd-run", f"--unit=holder-{port}", *program)
    try:
        assert 'service "ports" didn\'t complete successfully' in refused(spoilt)
        states = [json.loads(line) for line in spoilt("ps", "--all", "--format", "json").splitlines()]
        started = {state["Service"] for state in states if state["State"] != "created"}
        assert started == {"ports"}
    finally:
        spoilt.on_node("systemctl", "stop", "holder-3000", "holder-15673")
    said = spoilt("logs", "ports")
    assert "port 3000 of this computer, which api-gateway-app needs, is taken by another program" in said
    assert "port 15673 of this computer, which rabbitmq needs, is taken by another program" in said


def test_a_base_image_that_is_not_to_be_had_is_told(spoilt: Project) -> None:
    running = spoilt("ps", "--quiet")
    spoilt.set(BASE_IMAGE="no-such-image:1")
    said = refused(spoilt, "--build")
    # Docker's own words: it depends on its registry how they go on.
    assert "FROM ${BASE_IMAGE}" in said
    assert re.search(r"registry|pull access denied", said)
    assert spoilt("ps", "--quiet") == running


def test_the_former_name_of_an_account_is_asked_for(spoilt: Project) -> None:
    user = load_env(ENV_FILE)["BILLING_APP_DATABASE_USER"]
    spoilt.set(BILLING_APP_DATABASE_USER="renamed")
    assert 'service "billing-database-accounts" didn\'t complete successfully' in refused(spoilt)
    said = spoilt("logs", "billing-database-accounts")
    assert f"The app has the account {user}, not renamed. Put the former name back" in said


def test_the_compose_of_debian_12_which_is_too_old_says_so(project: Project) -> None:
    project.on_node("apt-get", "update", "--quiet=2")
    project.on_node("apt-get", "install", "--quiet=2", "--no-install-recommends", "--yes", "docker-compose")
    done = project.try_on_node("docker-compose", "up", "--detach")
    assert done.returncode != 0
    print(done.stderr)
    assert "configs.values value 'content'" in done.stderr
