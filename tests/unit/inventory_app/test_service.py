"""The app as it runs in its container: processes, health, signals, and a database that fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.library.apps import Database, RunningApp, make_database, running_app
from tests.library.servers import PostgreSQL
from tests.library.support import wait_until


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[RunningApp]:
    with running_app("inventory_app", tmp_path / "app", database.app) as app:
        app.wait_for("/health/ready", 200)
        yield app


def test_migrating_twice_changes_nothing(movies_database: Database) -> None:
    before = movies_database.execute("SELECT * FROM alembic_version")
    movies_database.run_app("inventory_app", "migrate")
    assert movies_database.execute("SELECT * FROM alembic_version") == before


def test_an_index_whose_making_was_cut_off_is_made_again_while_the_app_writes(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    database = make_database(postgresql, "half", tmp_path)
    state = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('movies_title_search')"
    making = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND datname = 'half'"
    database.run_app("inventory_app", "migrate")
    database.execute("DROP INDEX movies_title_search")
    database.execute("UPDATE alembic_version SET version_num = '0001'")
    # As long as this transaction lasts, the index is not valid.
    older = postgresql.connect(database.name)
    older.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    with older.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM movies")
    try:
        with ThreadPoolExecutor(1) as executor:
            run = executor.submit(database.run_app, "inventory_app", "migrate")
            wait_until(lambda: database.execute(state) == [(False,)], "the index is being made")
            database.execute("INSERT INTO movies (title) VALUES ('meanwhile')")
            [(process,)] = database.execute(making)
            database.execute(f"SELECT pg_terminate_backend({process})")
            with pytest.raises(AssertionError):
                run.result()
    finally:
        older.close()
    assert database.execute(state) == [(False,)]
    database.run_app("inventory_app", "migrate")
    assert database.execute(state) == [(True,)]
    assert database.execute("SELECT version_num FROM alembic_version") == [("0002",)]


def test_migrating_gives_the_app_back_the_rights_that_somebody_has_revoked(movies_database: Database) -> None:
    rights = "SELECT privilege_type FROM information_schema.table_privileges WHERE grantee = 'app' ORDER BY 1"
    before = movies_database.execute(rights)
    movies_database.execute("REVOKE ALL ON movies FROM app")
    movies_database.run_app("inventory_app", "migrate")
    assert movies_database.execute(rights) == before != []


def test_without_its_database_it_lives_is_not_ready_and_comes_back_by_itself(
    service: RunningApp, database: Database
) -> None:
    database.server.stop("immediate")
    try:
        ready = service.get("/health/ready")
        assert ready.status == 503
        assert ready.json()["status"] == "unready"
        assert ready.json()["dependencies"]["database"]["status"] == "down"
        assert service.get("/health/live").status == 200
        answer = service.get("/api/movies")
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert answer.json()["title"] == "Service Unavailable"
    finally:
        database.server.start()
    service.wait_for("/health/ready", 200)
    assert service.get("/api/movies").status == 200


def test_a_database_that_stands_still_is_given_up_in_time(service: RunningApp, database: Database) -> None:
    assert service.get("/api/movies").status == 200
    database.server.pause()
    try:
        started = time.monotonic()
        ready = service.get("/health/ready")
        assert ready.status == 503
        assert time.monotonic() - started < 4
        assert service.get("/api/movies", timeout=15).status == 503
        assert service.get("/health/live").status == 200
    finally:
        database.server.resume()
    service.wait_for("/health/ready", 200)
    assert service.get("/api/movies").status == 200


def test_it_starts_without_a_database_and_waits_inside(database: Database, tmp_path: Path) -> None:
    database.server.stop("fast")
    try:
        with running_app("inventory_app", tmp_path / "app", database.app) as service:
            assert service.get("/health/ready").status == 503
            assert service.process.poll() is None
            database.server.start()
            service.wait_for("/health/ready", 200)
    finally:
        if not (database.server.directory / "data" / "postmaster.pid").exists():
            database.server.start()


def test_a_new_password_is_read_when_the_next_connection_is_made(database: Database, tmp_path: Path) -> None:
    secrets_directory = tmp_path / "secrets"
    secrets_directory.mkdir()
    password_file = secrets_directory / "database_password"
    password_file.write_text("not yet the password")
    variables = {**database.app, "SECRETS_DIRECTORY": str(secrets_directory)}
    with running_app("inventory_app", tmp_path / "app", variables) as service:
        assert service.get("/health/ready").status == 503
        right = Path(database.app["SECRETS_DIRECTORY"]) / "database_password"
        # As Ansible replaces it: a new file under the old name.
        (secrets_directory / "new").write_text(right.read_text())
        (secrets_directory / "new").rename(password_file)
        service.wait_for("/health/ready", 200)


def test_a_password_that_the_server_does_not_know_yet_fails_no_request(
    database: Database, tmp_path: Path
) -> None:
    secrets_directory = tmp_path / "secrets"
    secrets_directory.mkdir()
    old = (Path(database.app["SECRETS_DIRECTORY"]) / "database_password").read_text()
    password_file = secrets_directory / "database_password"
    password_file.write_text(old)
    variables = {**database.app, "SECRETS_DIRECTORY": str(secrets_directory), "WORKERS": "1"}
    user = database.app["DATABASE_USER"]

    def end_its_connections() -> None:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inventory-app'"
        )

    with running_app("inventory_app", tmp_path / "app", variables) as service:
        service.wait_for("/health/ready", 200)
        try:
            password_file.write_text("the next password")
            end_its_connections()
            assert service.get("/api/movies").status == 200
            database.execute(f"ALTER ROLE {user} PASSWORD 'the next password'")
            end_its_connections()
            assert service.get("/api/movies").status == 200
            # What worked once is no way in when neither the file nor the server knows it any more.
            password_file.write_text("a wrong password")
            database.execute(f"ALTER ROLE {user} PASSWORD 'another one'")
            end_its_connections()
            assert service.get("/api/movies").status == 503
        finally:
            database.execute(f"ALTER ROLE {user} PASSWORD '{old.strip()}'")


def test_a_write_after_the_server_has_ended_all_connections_is_stored(
    client: FlaskClient, database: Database
) -> None:
    user = database.app["DATABASE_USER"]
    end = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{user}'"  # noqa: S608
    for title in ("before", "after"):
        assert client.post("/api/movies", json={"title": title}).status_code == 200
        database.execute(end)
    assert database.execute("SELECT title FROM movies ORDER BY id") == [("before",), ("after",)]


def test_a_candidate_is_ready_before_the_schema_is_new(database: Database, tmp_path: Path) -> None:
    database.execute("ALTER TABLE movies RENAME TO movies_of_old")
    try:
        with running_app("inventory_app", tmp_path / "a", {**database.app, "CANDIDATE": "true"}) as service:
            service.wait_for("/health/ready", 200)
        with running_app("inventory_app", tmp_path / "b", database.app) as service:
            assert service.get("/health/ready").status == 503
    finally:
        database.execute("ALTER TABLE movies_of_old RENAME TO movies")


def test_readers_who_take_nothing_hold_no_thread(service: RunningApp, database: Database) -> None:
    database.execute(
        "INSERT INTO movies (title, description) SELECT 'x', repeat('y', 10000) FROM generate_series(1, 60)"
    )
    with ExitStack() as readers:
        # Three times as many as the app has threads.
        for _ in range(12):
            reader = readers.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(10)
            reader.connect(("127.0.0.1", service.port))
            reader.sendall(b"GET /api/movies HTTP/1.1\r\nHost: test\r\n\r\n")
            assert reader.recv(1)
        started = time.monotonic()
        assert len(service.get("/api/movies").body) > 150_000
        assert time.monotonic() - started < 5
