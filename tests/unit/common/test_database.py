from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg2.extensions
import pytest
from sqlalchemy import Connection, Engine, Integer, bindparam, literal, select, text
from sqlalchemy.exc import OperationalError
from tests.library.apps import Database

from platform_common import database
from platform_common.database import DatabaseSettings, Prepared, is_unavailable, make_engine
from platform_common.settings import SecretFile

ANSWER_SECONDS = 0.5


@pytest.fixture(params=["AUTOCOMMIT", "READ COMMITTED"])
def engine(request: pytest.FixtureRequest, movies_database: Database, tmp_path: Path) -> Iterator[Engine]:
    before = psycopg2.extensions.get_wait_callback()
    password = tmp_path / "password"
    password.write_text(movies_database.server.password)
    made = make_engine(
        DatabaseSettings(
            host="127.0.0.1",
            port=movies_database.server.port,
            name=movies_database.name,
            user="postgres",
            password=SecretFile(password),
        ),
        "test",
        pool_size=1,
        isolation_level=request.param,
        answer_seconds=ANSWER_SECONDS,
    )
    yield made
    made.dispose()
    psycopg2.extensions.set_wait_callback(before)


def server_process(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@contextmanager
def frozen(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def in_time(function: Callable[[], None]) -> None:
    """Run `function` in a thread: one that never returns from a driver's code stops no other."""
    executor = ThreadPoolExecutor(1)
    try:
        executor.submit(function).result(timeout=20)
    finally:
        executor.shutdown(wait=False)


def test_a_connection_that_does_not_answer_is_given_up(engine: Engine) -> None:
    def ask() -> None:
        with engine.connect() as connection:
            with frozen(server_process(connection)), pytest.raises(OperationalError) as caught:
                connection.execute(text("SELECT 1"))
            assert is_unavailable(caught.value)
            assert connection.invalidated

    in_time(ask)


def test_after_one_that_does_not_answer_there_is_a_new_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0)

    def ask_twice() -> None:
        with engine.connect() as connection:
            old = server_process(connection)
        with frozen(old), engine.connect() as connection:
            assert server_process(connection) != old

    in_time(ask_twice)


def test_of_several_servers_a_silent_one_is_passed_over_once(
    engine: Engine, movies_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = movies_database.server.port
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)

    def connect_twice() -> None:
        with socket.create_server(("127.0.0.2", port)) as silent:
            silent.settimeout(1)
            for _ in range(2):
                with engine.connect() as connection:
                    assert connection.execute(text("SELECT 1")).scalar_one() == 1
                engine.dispose()
            silent.accept()
            with pytest.raises(TimeoutError):
                silent.accept()

    in_time(connect_twice)


def test_a_statement_is_prepared_once_for_each_connection(engine: Engine) -> None:
    doubled = Prepared("doubled", select(bindparam("number", type_=Integer) * 2, literal("100 %")))
    for _ in range(2):
        with engine.connect() as connection:
            assert [tuple(doubled.run(connection, number=n).one()) for n in (2, 21)] == [
                (4, "100 %"),
                (42, "100 %"),
            ]
            prepared = connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))
            assert prepared.scalar_one() == 1
        engine.dispose()
