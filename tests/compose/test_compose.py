"""compose.yaml with a real Docker Compose: the commands of the starting document, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_loader import load_plugin
from tests.compose.project import Project, docker, free_port
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.settings import ROOT, load_env
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
    assert len(services) == len(NAMES) + 5


def test_network_and_volumes_have_the_names_of_the_contract(project: Project) -> None:
    for service in SERVICES:
        [found] = json.loads(docker("inspect", project.container(service.name)))
        assert list(found["NetworkSettings"]["Networks"]) == [NETWORK]
        assert service.name in found["NetworkSettings"]["Networks"][NETWORK]["Aliases"]
        volumes = {mount["Name"] for mount in found["Mounts"] if mount["Type"] == "volume"}
        assert set(service.volumes) <= volumes
        assert not [mount for mount in found["Mounts"] if mount["Type"] == "bind"]
        assert not found["Config"]["Image"].endswith(":latest")


def test_the_management_page_is_published_on_loopback_only(project: Project) -> None:
    assert docker("port", "rabbitmq").split() == ["15672/tcp", "->", f"127.0.0.1:{project.management_port}"]


def test_no_secret_is_in_the_description_of_a_container_or_in_a_log(project: Project) -> None:
    passwords = [
        value for key, value in load_env(project.env_file).items() if key.endswith(("_PASSWORD", "_PASS"))
    ]
    shown = docker("inspect", *project.containers()) + project("logs", "--no-color")
    assert not [number for number, password in enumerate(passwords) if password in shown]


def test_a_secret_is_readable_by_its_containers_user_only(project: Project) -> None:
    script = "stat -c '%a %u' /run/secrets /run/secrets/*; id -u"
    for name in NAMES:
        *files, user = project("exec", "-T", name, "sh", "-c", script).splitlines()
        assert set(files) == {f"500 {user}", f"400 {user}"}, name
        refused = project.try_to("exec", "-T", "--user", "12345", name, "sh", "-c", "cat /run/secrets/*")
        assert refused.returncode != 0
    left = subprocess.run(
        ["docker", "cp", "play-with-containers-secrets-1:/run/values", "-"], check=False, capture_output=True
    )
    assert left.returncode != 0, "the container that wrote the secrets still has them"


def test_the_databases_are_what_the_role_would_make(project: Project) -> None:
    env = load_env(project.env_file)
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


def test_the_contract_holds(project: Project) -> None:
    environment = os.environ | {
        "PLATFORM_URL": f"http://localhost:{project.gateway_port}",
        "PLATFORM_MANAGEMENT_URL": f"http://localhost:{project.management_port}",
        "PLATFORM_ENV_FILE": str(project.env_file),
        "PLATFORM_DESTRUCTIVE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    print(done.stdout[-300:])
    assert done.returncode == 0, done.stdout[-5000:]


# --- the commands of the starting document ----------------------------------------------------


def test_logs_follow(project: Project) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as followed:
        project("logs", "-f", "api-gateway-app", seconds=5)
    assert b"api-gateway-app  |" in (followed.value.stdout or b"")


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


def test_no_order_is_lost_when_billing_app_is_killed(project: Project, api: Api) -> None:
    container = project.container("billing-app")
    with Load(api, rate=60, reads=False) as load:
        for number in range(1, 4):
            # Everything but the init process, which ends with its only child: a crash.
            subprocess.run(["docker", "exec", container, "sh", "-c", "kill -9 -1"], check=False)
            _wait_until_restarted(container, number)
            _wait_for_more(load, 100)
    assert load.failed == {}
    wait_until(
        lambda: stored(project, load.orders) == (len(load.orders),) * 2, "each order is stored once", 60
    )
    print(f"{len(load.orders)} orders accepted, all of them stored once; billing-app was killed three times")
    wait_healthy(project)


def _wait_until_restarted(container: str, times: int) -> None:
    count = ("inspect", "--format", "{{.RestartCount}}", container)
    wait_until(lambda: docker(*count).strip() == str(times), f"{container} is back", 60)


def _wait_for_more(load: Load, requests: int) -> None:
    before = load.total
    wait_until(lambda: load.total >= before + requests, "the load goes on")


def test_a_database_that_crashes_comes_back_with_its_socket(project: Project) -> None:
    subprocess.run(["docker", "exec", "billing-database", "sh", "-c", "kill -9 -1"], check=False)
    _wait_until_restarted("billing-database", 1)
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
    assert not set(docker("volume", "ls", "--format", "{{.Name}}").split()) & {*NAMES, "api-gateway-orders"}
    project("up", "--detach", "--wait")
    assert api.get("/api/movies").json()["movies"] == []


# --- bad input --------------------------------------------------------------------------------


@pytest.fixture
def env_file(project: Project) -> Iterator[Path]:
    """The project's `.env`, which a test may spoil."""
    right = project.env_file.read_text()
    yield project.env_file
    project.env_file.write_text(right)
    project("up", "--detach", "--wait")


def refused(project: Project) -> str:
    done = project.try_to("up", "--detach")
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_without_env_it_says_what_to_do(project: Project, env_file: Path) -> None:
    env_file.unlink()
    assert "scripts/make_env makes .env" in refused(project)


def test_an_empty_password_is_told_with_its_name(project: Project, env_file: Path) -> None:
    project.set(POSTGRES_PASSWORD="")
    assert "variable POSTGRES_PASSWORD is missing a value: scripts/make_env" in refused(project)
    assert env_file.exists()


@pytest.mark.usefixtures("env_file")
def test_what_is_wrong_in_env_is_told_and_what_runs_is_not_touched(project: Project) -> None:
    running = project("ps", "--quiet")
    project.set(BILLING_APP_DATABASE_PASSWORD="short", HEALTH_RABBITMQ_USER="'no name'")
    assert 'service "secrets" didn\'t complete successfully' in refused(project)
    said = project("logs", "secrets")
    assert "BILLING_APP_DATABASE_PASSWORD in .env has 5 characters: use at least 12." in said
    assert "HEALTH_RABBITMQ_USER in .env is 'no name', which is no account name" in said
    assert "short" not in said
    assert project("ps", "--quiet") == running


@pytest.mark.usefixtures("env_file")
def test_a_port_that_is_taken_is_told(project: Project) -> None:
    port = free_port()
    sleep = ("--entrypoint", "sleep", "secrets:compose", "600")
    holder = docker("run", "--detach", "--rm", "--publish", f"{port}:1", *sleep).strip()
    try:
        project.set(GATEWAY_PORT=port)
        assert f":{port} failed: port is already allocated" in refused(project)
    finally:
        docker("rm", "--force", holder)


@pytest.mark.usefixtures("env_file")
def test_the_former_name_of_an_account_is_asked_for(project: Project) -> None:
    user = load_env(project.env_file)["BILLING_APP_DATABASE_USER"]
    project.set(BILLING_APP_DATABASE_USER="renamed")
    assert 'service "billing-database-accounts" didn\'t complete successfully' in refused(project)
    said = project("logs", "billing-database-accounts")
    assert f"The app has the account {user}, not renamed. Put the former name back" in said
