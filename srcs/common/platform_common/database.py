"""The app's way to its PostgreSQL database: a pool of psycopg2 connections under SQLAlchemy.

Nothing here waits without a bound: a server that was stopped, paused or cut off answers a
request with 503 within seconds, and the pool heals by itself when the server is back.
"""

from __future__ import annotations

import functools
import logging
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

import psycopg2
import psycopg2.extensions
from flask import Flask, Response
from sqlalchemy import Connection, CursorResult, Dialect, Engine, Select, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from platform_common.health import NO_CONNECTION
from platform_common.problems import Problem, problem_response
from platform_common.settings import Environment, SecretFile, SettingsError

CONNECT_SECONDS: Final = 3
# Of several servers, one that is silent leaves time for the others.
CONNECT_SECONDS_OF_SEVERAL: Final = 1
STATEMENT_SECONDS: Final = 5
# The server ends a statement after STATEMENT_SECONDS; a server that cannot even do that is gone.
ANSWER_SECONDS: Final = 7
POOL_SECONDS: Final = 3
# A connection that was used a moment ago is not asked whether it still lives: under load that would be
# half of all statements.
PAUSE_SECONDS: Final = 1
NO_WAY: Final = f"no connection within {CONNECT_SECONDS} s: the server hangs, or the network is cut"
RETRY_AFTER_SECONDS: Final = 2
# What the server says to a wrong password; psycopg2 gives no code before there is a connection.
REFUSAL: Final = "password authentication failed"

P = ParamSpec("P")
R = TypeVar("R")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the database is and who we are there; the password is read at each new connection.

    Several servers may have the name `host`. The one that may be written to is the primary.
    """

    host: str
    port: int
    name: str
    user: str
    password: SecretFile

    @classmethod
    def read(cls, env: Environment) -> DatabaseSettings:
        """Read DATABASE_HOST, _PORT, _NAME, _USER and the secret file database_password.

        Raises:
            SettingsError: one of them is missing or malformed.
        """
        return cls(
            host=env.text("DATABASE_HOST"),
            port=env.integer("DATABASE_PORT", 5432, 1, 65535),
            name=env.text("DATABASE_NAME"),
            user=env.text("DATABASE_USER"),
            password=env.secret_file("database_password"),
        )


def make_engine(
    settings: DatabaseSettings,
    application_name: str,
    *,
    pool_size: int,
    isolation_level: str = "AUTOCOMMIT",
    statement_seconds: float = STATEMENT_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    server_settings: Mapping[str, str] | None = None,
) -> Engine:
    """Return an engine that has no connection yet.

    Args:
        settings: the database and the account.
        application_name: how connections show up in pg_stat_activity.
        pool_size: most connections at once; further callers wait up to `POOL_SECONDS`.
        isolation_level: AUTOCOMMIT saves a round trip where each unit of work is one statement.
        statement_seconds: after so long the server cancels a statement; 0 means never.
        answer_seconds: after so long without an answer the connection is given up.
        server_settings: further parameters of PostgreSQL for its connections; no white space in the values.
    """
    parameters = {
        "statement_timeout": str(int(statement_seconds * 1000)),
        "timezone": "UTC",
        **(server_settings or {}),
    }
    psycopg2.extensions.set_wait_callback(_make_wait(answer_seconds))

    def connect_with(password: str, address: str, factory: type[psycopg2.extensions.connection]) -> Any:
        return psycopg2.connect(
            host=settings.host,
            hostaddr=address,
            port=settings.port,
            dbname=settings.name,
            user=settings.user,
            password=password,
            application_name=application_name,
            options=" ".join(f"-c {name}={value}" for name, value in parameters.items()),
            # A peer that vanished without a word is noticed by the kernel.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=10_000,
            target_session_attrs="read-write",
            connection_factory=factory,
        )

    servers = _Servers(settings.host, settings.port, connect_with)
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=_Door(settings.password, servers.connect).connect,
        isolation_level=isolation_level,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        # The most recently used connection first: what a quiet app does not need ages out.
        pool_use_lifo=True,
        pool_recycle=1800,
        use_native_hstore=False,
    )

    def refuse_a_dead_one(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        now = time.monotonic()
        last_used = record.info.setdefault("used_at", now)
        record.info["used_at"] = now
        # A server that ends a connection says so, and an idle one says nothing else.
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        if poller.poll(0):
            raise InvalidatePoolError
        if now - last_used > PAUSE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except psycopg2.Error as error:
                raise InvalidatePoolError from error

    event.listen(engine, "checkout", refuse_a_dead_one)
    return engine


class _OneOfSeveral(psycopg2.extensions.connection):
    """A connection to one of several servers."""

    connect_seconds = CONNECT_SECONDS_OF_SEVERAL


class _Servers:
    """All servers that a name stands for, of which one takes what is written.

    Args:
        host: the name.
        port: of each.
        connect_with: makes a connection with a password, to an address, of a class; it refuses a server that
            may not be written to.
    """

    def __init__(
        self,
        host: str,
        port: int,
        connect_with: Callable[[str, str, type[psycopg2.extensions.connection]], Any],
    ) -> None:
        self._host = host
        self._port = port
        self._connect_with = connect_with
        self._primary = ""

    def connect(self, password: str) -> Any:
        """Return a connection to the primary, which is asked for first where it was last.

        Raises:
            psycopg2.OperationalError: none of them is it. Of several reasons it gives the last.
        """
        addresses = self._addresses()
        addresses.sort(key=lambda address: address != self._primary)
        factory = _OneOfSeveral if len(addresses) > 1 else psycopg2.extensions.connection
        for address in addresses[:-1]:
            try:
                return self._try(password, address, factory)
            except psycopg2.OperationalError as error:
                if REFUSAL in str(error):
                    raise
        return self._try(password, addresses[-1], factory)

    def _try(self, password: str, address: str, factory: type[psycopg2.extensions.connection]) -> Any:
        connection = self._connect_with(password, address, factory)
        self._primary = address
        return connection

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise psycopg2.OperationalError(f"no address of {self._host}: {error}") from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Door:
    """Connects with the password that the file holds now, or else with the one that worked last.

    A new password is in the file before the server knows it. So there is no moment at which a new
    connection is refused.

    Args:
        password: the file.
        connect_with: makes a connection with a password.
    """

    def __init__(self, password: SecretFile, connect_with: Callable[[str], Any]) -> None:
        self._file = password
        self._connect_with = connect_with
        self._worked: str | None = None

    def connect(self) -> Any:
        """Return a new connection.

        Raises:
            psycopg2.OperationalError: there is none to be had, or the file cannot be read.
        """
        try:
            password = self._file.read()
        except SettingsError as error:
            raise psycopg2.OperationalError(str(error)) from error
        attempts = [password]
        if self._worked is not None and self._worked != password:
            # The new one again at the end: the server may have learned it in between.
            attempts += [self._worked, password]
        for attempt in attempts[:-1]:
            try:
                return self._try(attempt)
            except psycopg2.OperationalError as error:
                if REFUSAL not in str(error):
                    raise
        return self._try(attempts[-1])

    def _try(self, password: str) -> Any:
        connection = self._connect_with(password)
        self._worked = password
        return connection


def is_unavailable(error: BaseException) -> bool:
    """Say whether `error` means that the database could not be reached or did not answer in time."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)


def retry_once(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap `function` so that a connection that turns out dead in mid-flight is forgiven once.

    Only for statements that may run twice. What failed for another reason fails at once.
    """

    @functools.wraps(function)
    def retrying(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            _logger.info("the database connection was lost: trying once more")
            return function(*args, **kwargs)

    return retrying


class Prepared:
    """A statement that the server plans once for each connection.

    To plan one that reads some rows by their key takes longer than to run it.

    Args:
        name: what the server is to call it.
        statement: the statement; its values are those of its `bindparam`.
    """

    def __init__(self, name: str, statement: Select[*tuple[Any, ...]]) -> None:
        dialect: Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self._name = name
        self._preparation = f"PREPARE {name} AS {compiled}".replace("%", "%%")
        places = ", ".join(f"%({value})s" for value in compiled.positiontup or ())
        self._execution = f"EXECUTE {name} ({places})"
        self._constants = compiled.params

    def run(self, connection: Connection, **values: Any) -> CursorResult[*tuple[Any, ...]]:
        """Run it with these values.

        Raises:
            DBAPIError: the database fails.
        """
        if self._name not in connection.info:
            connection.exec_driver_sql(self._preparation)
            connection.info[self._name] = True
        return connection.exec_driver_sql(self._execution, {**self._constants, **values})


def check_database(query: Callable[[], Any]) -> Mapping[str, Any]:
    """Run `query` for a health check; returns {"status": "up" | "down", …}."""
    started = time.perf_counter()
    try:
        query()
    except (DBAPIError, PoolTimeoutError) as error:
        _logger.warning("the database check failed: %s", str(error).strip().splitlines()[0])
        reason = NO_CONNECTION if is_unavailable(error) else "the query failed"
        return {"status": "down", "reason": reason}
    return {"status": "up", "latency_ms": round((time.perf_counter() - started) * 1000, 1)}


def init_database_problems(app: Flask) -> None:
    """Answer with 503 and Retry-After where the database cannot be reached."""

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeoutError)
    def handle_database_error(error: Exception) -> Response:
        if is_unavailable(error):
            _logger.warning("the database is unavailable: %s", str(error).strip().splitlines()[0])
            return problem_response(
                Problem(
                    503,
                    "Service Unavailable",
                    f"The database does not answer at the moment. Try again in {RETRY_AFTER_SECONDS} s.",
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            )
        _logger.error("a database statement failed", exc_info=error)
        return problem_response(
            Problem(
                500,
                "Internal Server Error",
                "Something went wrong on our side. Try again; if it stays, report the request_id.",
            )
        )


def _make_wait(answer_seconds: float) -> Callable[[Any], None]:
    """Return a wait callback for psycopg2, which by itself would wait for an answer for ever.

    Source: psycopg2's manual, "Support for coroutine libraries".
    """

    def wait(connection: Any) -> None:
        connecting = connection.status == psycopg2.extensions.STATUS_SETUP
        deadline = time.monotonic() + (
            getattr(connection, "connect_seconds", CONNECT_SECONDS) if connecting else answer_seconds
        )
        poller = select.poll()
        while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
            descriptor = connection.fileno()
            poller.register(
                descriptor,
                select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT,
            )
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not poller.poll(remaining * 1000):
                # psycopg2 closes the connection then. Here that would wait for a lock that our caller holds.
                raise psycopg2.OperationalError(
                    NO_WAY if connecting else "the database did not answer in time"
                )
            # While connecting, libpq may go on with another socket.
            poller.unregister(descriptor)

    return wait
