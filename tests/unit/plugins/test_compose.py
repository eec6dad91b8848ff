"""How descriptions of containers become what Docker Compose reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plugin_loader import load_plugin

compose = load_plugin("ansible/plugins/filter/compose.py")

EXAMPLE = """\
# A comment, with KEY=VALUE in it.
HOST=database
PORT=5432
DATABASE_PASSWORD=
#API_TOKEN=
#GATEWAY_PORT=3000
"""


def description(name: str, **differs: Any) -> dict[str, Any]:
    return {
        "name": name,
        "user": 7,
        "environment": {},
        "secrets": {},
        "volumes": [],
        "tmpfs": ["/tmp:size=1m", "/run/server:rw,size=2m"],  # noqa: S108 (that of a container)
        "migration": {},
        **differs,
    }


SERVER = description(
    "database",
    environment={"PORT": "5432"},
    volumes=[{"name": "database", "path": "/data"}],
    accounts={
        "command": ["make", "accounts"],
        "socket": "/run/server",
        "secrets": {"one": "@DATABASE_PASSWORD@"},
    },
)
APP = description(
    "app",
    environment={"DATABASE_HOST": "@HOST@", "SERVICE_NAME": "app"},
    migration={"command": ["migrate"], "environment": {"A": "b"}, "secrets": {"two": "x"}},
)
FRONT = description("front", environment={"APP_URL": "http://app:8080", "MENTIONS": "the database"})


def services(*descriptions: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {service["name"]: service for service in compose.compose_services(descriptions, EXAMPLE)}


def test_each_key_has_a_placeholder_also_one_that_may_be_left_out() -> None:
    assert compose.env_placeholders(EXAMPLE) == {
        key: f"@{key}@" for key in ("HOST", "PORT", "DATABASE_PASSWORD", "API_TOKEN", "GATEWAY_PORT")
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("^orders$", "^orders$$"),
        ("postgres://@HOST@:@PORT@", "postgres://${HOST:-database}:${PORT:-5432}"),
        ("@DATABASE_PASSWORD@", "${DATABASE_PASSWORD:?scripts/make_env makes .env}"),
        ("@API_TOKEN@", "${API_TOKEN:-}"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_a_placeholder_is_what_compose_takes_from_env(text: str, written: str) -> None:
    assert compose.compose_text(text, EXAMPLE) == written


def test_each_value_is_listed_once() -> None:
    texts = ["@HOST@ and @API_TOKEN@", "@HOST@", "none"]
    assert compose.compose_values(texts, EXAMPLE) == ["API_TOKEN=${API_TOKEN:-}", "HOST=${HOST:-database}"]


def test_things_start_each_after_what_it_needs() -> None:
    found = services(SERVER, APP, FRONT)
    assert list(found) == ["database", "database-accounts", "app-migration", "app", "front"]
    secrets = {"secrets": "service_completed_successfully"}
    assert found["database"]["needs"] == secrets
    assert found["database-accounts"]["needs"] == secrets | {"database": "service_healthy"}
    assert found["app-migration"]["needs"] == secrets | {
        "database-accounts": "service_completed_successfully"
    }
    assert found["app"]["needs"] == secrets | {
        "database": "service_healthy",
        "app-migration": "service_completed_successfully",
    }
    assert found["front"]["needs"] == secrets | {"app": "service_healthy"}


def test_an_app_without_migrations_waits_for_the_accounts_itself() -> None:
    needs = services(SERVER, {**APP, "migration": {}})["app"]["needs"]
    assert needs["database-accounts"] == "service_completed_successfully"


def test_accounts_share_nothing_with_the_server_but_its_socket() -> None:
    found = services(SERVER)
    assert found["database"]["volumes"] == ["database:/data", "database-socket:/run/server"]
    assert found["database"]["socket"] == "rw,size=2m"
    assert found["database"]["tmpfs"] == ["/tmp:size=1m"]  # noqa: S108
    accounts = found["database-accounts"]
    assert accounts["volumes"] == ["database-socket:/run/server:ro"]
    assert accounts["tmpfs"] == ["/tmp:size=1m"]  # noqa: S108
    assert not accounts["network"]
    assert accounts["environment"] == {"PORT": "5432"}
    assert accounts["command"] == ["make", "accounts"]


def test_migrations_have_no_volume_and_their_own_account() -> None:
    migration = services(SERVER, {**APP, "volumes": [{"name": "data", "path": "/data"}]})["app-migration"]
    assert migration["volumes"] == []
    assert migration["environment"] == {"A": "b"}
    assert migration["secrets"] == {"two": "x"}


def test_secret_files_belong_to_the_user_of_their_container() -> None:
    found = compose.compose_secret_files(compose.compose_services([SERVER, APP], EXAMPLE))
    assert found == [
        ("database-accounts-secrets/one", "@DATABASE_PASSWORD@", 7),
        ("app-migration-secrets/two", "x", 7),
    ]


def test_definitions_are_readable_and_the_same() -> None:
    definitions = {"users": [{"name": "a"}, {"name": "b"}], "queues": []}
    container = description(
        "broker", secrets={"definitions.json": json.dumps(definitions), "x.curl": "user\n"}
    )
    files = compose.compose_secret_files(compose.compose_services([container], EXAMPLE))
    contents = {path: content for path, content, _ in files}
    assert json.loads(contents["broker-secrets/definitions.json"]) == definitions
    assert '\n  {"name": "a"},\n' in contents["broker-secrets/definitions.json"]
    assert contents["broker-secrets/x.curl"] == "user"


@pytest.mark.parametrize(
    ("port", "written"),
    [
        ({"port": 3000, "address": "0.0.0.0"}, "${GATEWAY_PORT:-3000}:3000"),  # noqa: S104
        (
            {"port": 15672, "published_port": 15673, "address": "127.0.0.1"},
            "127.0.0.1:${MANAGEMENT_PORT:-15673}:15672",
        ),
        ({"port": 8080, "address": "127.0.0.1"}, "127.0.0.1:8080:8080"),
    ],
)
def test_a_port_is_published_where_the_description_says_or_a_variable(
    port: dict[str, Any], written: str
) -> None:
    assert compose.compose_port(port) == written
