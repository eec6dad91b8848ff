"""Passwords are changed in .env, and the next run applies them."""

from __future__ import annotations

import pytest
import requests
from tests.api import Api
from tests.node.node import Node
from tests.operations.load import Load
from tests.operations.operator import Operator
from tests.settings import MANAGEMENT_URL

pytestmark = pytest.mark.timeout(3600)


def database_takes(node: Node, container: str, user: str, password: str, database: str) -> bool:
    """Say whether a password is taken, over the network as an app's is."""
    script = f"PGPASSWORD='{password}' psql -h {container} -U {user} -d {database} -c 'SELECT 1' 2>&1 || true"
    answer = node.in_each(script, [container])[container]
    assert "(1 row)" in answer or "password authentication failed" in answer, answer
    return "(1 row)" in answer


def broker_takes(user: str, password: str) -> bool:
    status = requests.get(f"{MANAGEMENT_URL}/api/whoami", auth=(user, password), timeout=30).status_code
    assert status in {200, 401}
    return status == 200


def test_every_password_is_changed_while_the_platform_serves(
    operator: Operator, node: Node, api: Api, env: dict[str, str]
) -> None:
    changed = {
        key: value[::-1] + "-new" if key.endswith(("_PASSWORD", "_PASS")) else value
        for key, value in env.items()
    }
    databases = (
        ("inventory-database", "POSTGRES", "postgres"),
        ("inventory-database", "INVENTORY_APP_DATABASE", "movies"),
        ("inventory-database", "INVENTORY_MIGRATIONS_DATABASE", "movies"),
        ("billing-database", "POSTGRES", "postgres"),
        ("billing-database", "BILLING_APP_DATABASE", env["POSTGRES_DB"]),
    )
    brokers = (
        ("RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"),
        ("HEALTH_RABBITMQ_USER", "HEALTH_RABBITMQ_PASSWORD"),
    )
    # Nothing but the passwords is different then: no container is replaced.
    operator.run("site.yml")
    try:
        with Load(api) as load:
            operator.run("site.yml", platform_env=changed)
        print(f"passwords: {load.total} requests, failed: {load.failed}")
        assert load.failed == {}
        for container, prefix, database in databases:
            user = env[f"{prefix}_USER"]
            assert database_takes(node, container, user, changed[f"{prefix}_PASSWORD"], database)
            assert not database_takes(node, container, user, env[f"{prefix}_PASSWORD"], database)
        for user, password in brokers:
            assert broker_takes(env[user], changed[password])
            assert not broker_takes(env[user], env[password])
        # A new connection of each app uses the new one.
        node.run("docker restart -t 30 inventory-app billing-app api-gateway-app")
        assert operator.run("site.yml", platform_env=changed).changed == 0
        api.stored_order(
            api.order({"user_id": "after", "number_of_items": 1, "total_amount": "1"}), seconds=120
        )
    finally:
        operator.run("site.yml")
    assert operator.run("site.yml").changed == 0


def test_no_password_is_shown_while_they_are_changed(operator: Operator, env: dict[str, str]) -> None:
    changed = env | {
        "POSTGRES_PASSWORD": "visible-if-leaked-1",
        "RABBITMQ_DEFAULT_PASS": "visible-if-leaked-2",
    }
    try:
        process = operator.start("site.yml", "-vvv", platform_env=changed)
        output, _ = process.communicate(timeout=1500)
        assert process.returncode == 0, output[-3000:]
        # Its own command line, which this test wrote, is shown too.
        shown = [
            line for line in output.splitlines() if "visible-if-leaked" in line and "platform_env" not in line
        ]
        assert shown == []
    finally:
        operator.run("site.yml")


def test_the_node_lists_no_password_in_its_processes(node: Node, env: dict[str, str]) -> None:
    processes = node.run("ps axww -o args")
    assert not [
        key for key, value in env.items() if key.endswith(("_PASSWORD", "_PASS")) and value in processes
    ]
