"""Passwords are changed in .env, and the next run applies them."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from tests.library.api import Api
from tests.library.loads import Load
from tests.library.settings import ENV_FILE, Secrets, management_url
from tests.node.node import Node
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(3600)

DATABASE_ACCOUNTS = (
    ("inventory-database", "POSTGRES", "postgres"),
    ("inventory-database", "INVENTORY_APP_DATABASE", "movies"),
    ("inventory-database", "INVENTORY_MIGRATIONS_DATABASE", "movies"),
    ("billing-database", "POSTGRES", "postgres"),
    ("billing-database", "BILLING_APP_DATABASE", "orders"),
    ("billing-database", "BILLING_MIGRATIONS_DATABASE", "orders"),
)
# Each of the broker's accounts: its name's key, its password's.
BROKER_ACCOUNTS = {
    "RABBITMQ_DEFAULT_USER": "RABBITMQ_DEFAULT_PASS",
    "HEALTH_RABBITMQ_USER": "HEALTH_RABBITMQ_PASSWORD",
    "API_GATEWAY_APP_RABBITMQ_USER": "API_GATEWAY_APP_RABBITMQ_PASSWORD",
    "BILLING_APP_RABBITMQ_USER": "BILLING_APP_RABBITMQ_PASSWORD",
    "DEAD_LETTERS_RABBITMQ_USER": "DEAD_LETTERS_RABBITMQ_PASSWORD",
}


def is_password(key: str) -> bool:
    return key.endswith(("_PASSWORD", "_PASS"))


@pytest.fixture
def changed(env: Secrets) -> Secrets:
    """The same .env with other passwords."""
    return Secrets({key: value[::-1] + "-new" if is_password(key) else value for key, value in env.items()})


@pytest.fixture
def changed_file(changed: Secrets, tmp_path: Path) -> str:
    path = tmp_path / "changed.env"
    path.write_text("".join(f"{key}={value}\n" for key, value in changed.items()))
    path.chmod(0o600)
    return str(path)


def accounts_let_in(node: Node, env: Secrets) -> dict[str, bool]:
    """Try each account's password over the network, as an app does. No password is in what is returned."""
    let_in = {}
    for container, prefix, database in DATABASE_ACCOUNTS:
        user, password = env[f"{prefix}_USER"], env[f"{prefix}_PASSWORD"]
        script = (
            f"PGPASSWORD='{password}' psql -h {container} -p {env['DB_PORT']} -U {user} -d {database} "
            "-c 'SELECT 1' 2>&1 || true"
        )
        answer = node.in_each(script, [container])[container]
        assert "(1 row)" in answer or "password authentication failed" in answer, answer
        let_in[f"{prefix} at {container}"] = "(1 row)" in answer
    for user_key, password_key in BROKER_ACCOUNTS.items():
        account = (env[user_key], env[password_key])
        page = requests.get(f"{management_url()}/api/whoami", auth=account, timeout=30)
        # With this reason, 401 is the page's answer to the right password of an app.
        let_in[f"{user_key} at the broker"] = page.ok or "Not management user" in page.text
    return let_in


def test_every_password_is_changed_while_the_platform_serves(
    operator: Operator, node: Node, api: Api, env: Secrets, changed: Secrets, changed_file: str
) -> None:
    at_first = accounts_let_in(node, env)
    assert set(at_first.values()) == {True}, at_first
    # A run of one service alone would part the servers from the apps.
    operator.refused(
        "site.yml",
        "Servers and apps must change together",
        platform_env_file=changed_file,
        operate_service="billing-app",
    )
    try:
        with Load(api) as load:
            result = operator.attempt("site.yml", "-vvv", platform_env_file=changed_file)
        print(f"passwords: {load.total} requests, failed: {load.failed}, {result.seconds:.0f} s")
        assert result.code == 0
        shown = [key for key, value in changed.items() if is_password(key) and value in result.output]
        assert shown == [], "these passwords are in the output"
        assert load.failed == {}
        with_new, with_old = accounts_let_in(node, changed), accounts_let_in(node, env)
        assert set(with_new.values()) == {True}, with_new
        assert set(with_old.values()) == {False}, with_old
        # New connections of each app use the new ones.
        node.run("docker restart -t 30 inventory-app billing-app api-gateway-app")
        assert operator.run("site.yml", platform_env_file=changed_file).changes == []
        api.stored_order(
            api.order({"user_id": "after", "number_of_items": 1, "total_amount": "1"}), seconds=120
        )
    finally:
        operator.run("site.yml", platform_env_file=str(ENV_FILE))
