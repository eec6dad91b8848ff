from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.node.node import Node

CHANGE: Final = {"SELECT", "INSERT", "UPDATE", "DELETE"}


@dataclass(frozen=True)
class Database:
    """A database as the contract describes it; accounts by their keys in `.env`, without `_USER`."""

    container: str
    name: str
    table: str
    app_container: str
    app: str
    migrations: str
    rights: Mapping[str, Set[str]]
    """What the app may do with each table."""

    def user(self, env: Mapping[str, str], account: str) -> str:
        return env[f"{account}_USER"]


INVENTORY = Database(
    "inventory-database",
    "movies",
    "movies",
    "inventory-app",
    "INVENTORY_APP_DATABASE",
    "INVENTORY_MIGRATIONS_DATABASE",
    {"movies": CHANGE},
)
# An order is never changed.
BILLING = Database(
    "billing-database",
    "orders",
    "orders",
    "billing-app",
    "BILLING_APP_DATABASE",
    "BILLING_MIGRATIONS_DATABASE",
    {"orders": {"SELECT", "INSERT"}, "idempotency_keys": CHANGE},
)

both = pytest.mark.parametrize("database", [INVENTORY, BILLING], ids=lambda database: database.container)

ACCOUNTS = """
SELECT json_build_object(
    'logins', (SELECT json_agg(rolname ORDER BY rolname) FROM pg_authid WHERE rolcanlogin),
    'verifiers', (SELECT json_agg(DISTINCT left(rolpassword, 14)) FROM pg_authid WHERE rolcanlogin),
    'powers', (SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
               FROM pg_authid WHERE rolname = '{app}'),
    'groups', (SELECT json_agg(roleid::regrole::text) FROM pg_auth_members WHERE member = '{app}'::regrole),
    'owned', (SELECT count(*) FROM pg_shdepend
              WHERE deptype = 'o' AND refobjid IN ('{app}'::regrole, 'app'::regrole)),
    'create', has_schema_privilege('{app}', 'public', 'CREATE')
              OR has_database_privilege('{app}', current_database(), 'CREATE, TEMPORARY'),
    'databases', (SELECT json_agg(datname) FROM pg_database
                  WHERE datallowconn AND has_database_privilege('{app}', datname, 'CONNECT')),
    'public', (SELECT json_agg(datname) FROM pg_database
               WHERE datallowconn AND has_database_privilege('public', datname, 'CONNECT')),
    'tables', (SELECT json_object_agg(name, rights) FROM (
        SELECT relname AS name, json_agg(privilege) AS rights
        FROM pg_class,
             unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) AS privilege
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
              AND has_table_privilege('{app}', oid, privilege)
        GROUP BY relname) AS granted),
    'owner', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'public.{table}'::regclass),
    'hba', (SELECT json_agg(json_build_object('type', type, 'method', auth_method)) FROM pg_hba_file_rules),
    'encryption', current_setting('password_encryption')
)
"""

# Run by the app's Python, with the app's own settings and secret.
ATTEMPTS = """
import json, os, psycopg2

def connect(**changes):
    settings = dict(
        host=os.environ["DATABASE_HOST"],
        port=os.environ["DATABASE_PORT"],
        dbname=os.environ["DATABASE_NAME"],
        user=os.environ["DATABASE_USER"],
        password=open("/run/secrets/database_password").read().rstrip("\\n"),
        connect_timeout=10,
    )
    return psycopg2.connect(**(settings | changes))

def attempt(statement):
    connection = connect()
    # A transaction refuses these; the others are taken back if they are possible.
    connection.autocommit = statement.startswith(("CREATE DATABASE", "DROP DATABASE", "ALTER SYSTEM"))
    try:
        connection.cursor().execute(statement)
        return "done"
    except psycopg2.Error as error:
        return type(error).__name__
    finally:
        connection.close()

def refusal(**changes):
    try:
        connect(**changes).close()
        return "let in"
    except psycopg2.OperationalError as error:
        return str(error)

print(json.dumps({
    "statements": {statement: attempt(statement) for statement in STATEMENTS},
    "connections": {name: refusal(**changes) for name, changes in CONNECTIONS.items()},
}))
"""


@pytest.fixture(scope="module")
def facts(node: Node, env: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What each database says about its accounts, by container."""
    return {
        database.container: node.psql(
            database.container,
            env["POSTGRES_USER"],
            database.name,
            ACCOUNTS.format(app=database.user(env, database.app), table=database.table),
        )
        for database in (INVENTORY, BILLING)
    }


Facts = dict[str, dict[str, Any]]


def test_the_billing_database_has_the_name_that_env_says(env: dict[str, str]) -> None:
    assert env["POSTGRES_DB"] == BILLING.name


@both
def test_nobody_else_has_an_account(facts: Facts, env: dict[str, str], database: Database) -> None:
    wanted = {
        env["POSTGRES_USER"],
        *(database.user(env, account) for account in (database.app, database.migrations)),
    }
    assert set(facts[database.container]["logins"]) == wanted


@both
def test_passwords_are_kept_as_scram_verifiers(facts: Facts, database: Database) -> None:
    assert facts[database.container]["verifiers"] == ["SCRAM-SHA-256$"]
    assert facts[database.container]["encryption"] == "scram-sha-256"


@both
def test_the_network_is_let_in_with_scram_only(facts: Facts, database: Database) -> None:
    rules = facts[database.container]["hba"]
    assert {rule["method"] for rule in rules if rule["type"] != "local"} == {"scram-sha-256"}
    assert {rule["method"] for rule in rules} <= {"scram-sha-256", "peer", "reject"}


@both
def test_the_local_socket_lets_nobody_in_but_the_servers_own_user(
    node: Node, env: dict[str, str], database: Database
) -> None:
    ask = f"psql -w -h /run/postgresql -U {{user}} -d {database.name} -c 'SELECT 1' 2>&1 || true"
    accounts = [env["POSTGRES_USER"], *(database.user(env, a) for a in (database.app, database.migrations))]
    script = "; ".join(ask.format(user=user) for user in accounts)
    # As another user of the container, and as the server's own with another account's name.
    for options, refused in (("--user 10099", accounts), ("", accounts[1:])):
        answer = node.in_each(script, [database.container], options=options)[database.container]
        assert answer.count("FATAL") == len(refused), answer
        assert answer.count("Peer authentication failed") + answer.count("Permission denied") >= 1


@both
def test_the_app_has_no_powers_and_owns_nothing(facts: Facts, database: Database) -> None:
    answer = facts[database.container]
    assert answer["powers"] is False
    assert answer["groups"] == ["app"]
    assert answer["owned"] == 0
    assert answer["create"] is False


@both
def test_the_app_may_use_its_tables_and_no_other(facts: Facts, database: Database) -> None:
    tables = {table: set(rights) for table, rights in facts[database.container]["tables"].items()}
    assert tables == database.rights


@both
def test_the_table_belongs_to_the_account_of_the_migrations(
    facts: Facts, env: dict[str, str], database: Database
) -> None:
    assert facts[database.container]["owner"] == database.user(env, database.migrations)


@both
def test_the_app_may_connect_to_its_database_and_no_other(facts: Facts, database: Database) -> None:
    assert facts[database.container]["databases"] == [database.name]


@both
def test_an_app_that_got_out_of_hand_can_do_no_more_than_its_work(
    node: Node, env: dict[str, str], database: Database
) -> None:
    other = BILLING if database is INVENTORY else INVENTORY
    refused = [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION pgcrypto",
        "CREATE EXTENSION dblink",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        f"DROP DATABASE {database.name}",
        f"DROP TABLE {database.table}",
        f"CREATE INDEX mine ON {database.table} ((1))",
        f"COPY {database.table} FROM PROGRAM 'id'",
        f"COPY {database.table} FROM '/etc/passwd'",
        f"COPY {database.table} TO '/tmp/mine'",
        "ALTER SYSTEM SET work_mem = '1GB'",
        f"ALTER ROLE {database.user(env, database.app)} SUPERUSER",
        f"ALTER ROLE {database.user(env, database.migrations)} PASSWORD 'mine-and-not-theirs'",
        f"SET SESSION AUTHORIZATION {env['POSTGRES_USER']}",
        f"SET ROLE {env['POSTGRES_USER']}",
        f"TRUNCATE {database.table}",
        f"ALTER TABLE {database.table} ADD mine int",
        "SELECT * FROM alembic_version",
        "INSERT INTO alembic_version VALUES ('mine')",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT pg_reload_conf()",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        f"SET ROLE {database.user(env, database.migrations)}",
        *(
            statement.format(table=database.table)
            for right, statement in (
                ("UPDATE", "UPDATE {table} SET user_id = user_id"),
                ("DELETE", "DELETE FROM {table}"),
            )
            if right not in database.rights[database.table]
        ),
    ]
    allowed = f"SELECT * FROM {database.table} LIMIT 1"  # noqa: S608
    connections = {
        "a wrong password": {"password": "wrong-password"},
        "no password": {"password": ""},
        "postgres": {"dbname": "postgres"},
        "template1": {"dbname": "template1"},
        "the administrator": {"user": env["POSTGRES_USER"]},
        "the migrations": {"user": database.user(env, database.migrations)},
        "the other database": {"host": other.container, "dbname": other.name},
        "the other app": {
            "host": other.container,
            "dbname": other.name,
            "user": other.user(env, other.app),
        },
    }
    script = f"STATEMENTS = {[*refused, allowed]!r}\nCONNECTIONS = {connections!r}\n{ATTEMPTS}"
    answer = node.python(database.app_container, script)
    assert answer["statements"].pop(allowed) == "done"
    assert set(answer["statements"].values()) == {"InsufficientPrivilege"}, answer["statements"]
    for name in ("postgres", "template1"):
        refusal = answer["connections"].pop(name)
        assert f'permission denied for database "{name}"' in refusal, refusal
    for name, refusal in answer["connections"].items():
        assert "password" in refusal, f"{name}: {refusal}"
        assert "authentication failed" in refusal or "no password supplied" in refusal, f"{name}: {refusal}"
