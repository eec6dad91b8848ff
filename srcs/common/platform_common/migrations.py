"""Running an app's Alembic migrations, which lie in its package."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import OperationalError

from platform_common.database import DatabaseSettings, make_engine
from platform_common.logs import configure_logging
from platform_common.settings import BaseSettings, Environment, SettingsError

LOCK_SECONDS: Final = 10
# Any number that nothing else in these databases uses: two migrations never run at once.
_ADVISORY_LOCK: Final = 7_102_413
_logger = logging.getLogger(__name__)


def migrate(migrations: Path, grants: Iterable[str] = ()) -> None:
    """Bring the database to the newest schema, as the account in DATABASE_USER.

    Each migration is a transaction. One that must leave it (`autocommit_block`) is run again from its
    beginning where it failed half-way, and has to bear that.

    Only the settings of the database are read: the account of the migrations has no other secrets.

    Args:
        migrations: the directory that holds env.py and versions/.
        grants: the app's rights, as statements that are run each time: what was revoked comes back.

    Raises:
        SettingsError: a setting is missing, there is no connection to the database, or another migration
            is running.
    """
    env = Environment()
    base, database = BaseSettings.read(env), DatabaseSettings.read(env)
    configure_logging(base.service_name, base.log_level)
    engine = make_engine(
        database,
        f"{base.service_name} migrate",
        pool_size=1,
        isolation_level="READ COMMITTED",
        statement_seconds=0,
        answer_seconds=600,
        # Waiting for a table's lock makes everybody behind us wait too: rather fail.
        server_settings={"lock_timeout": f"{LOCK_SECONDS}s"},
    )
    try:
        _upgrade(engine, migrations, grants)
    except _NoConnectionError as error:
        raise SettingsError(
            f"{database.name} cannot be migrated without a connection to "
            f"{database.host}:{database.port}: {error}"
        ) from error
    finally:
        engine.dispose()


class _NoConnectionError(Exception):
    """The reason why there is none, in the driver's words."""


def _upgrade(engine: Engine, migrations: Path, grants: Iterable[str]) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise _NoConnectionError(str(error.orig).strip()) from error
    with connection:
        _take_lock(connection)
        is_newer = _is_newer(connection, config)
        # Each migration begins its own.
        connection.rollback()
        if not is_newer:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        for grant in grants:
            connection.execute(text(grant))
        connection.commit()
    # Migrations only add: an older app, which was gone back to, works with a newer schema.
    _logger.info(
        "the schema %s", "is newer than this app's, and stays as it is" if is_newer else "is the newest"
    )


def _take_lock(connection: Connection) -> None:
    """Keep other migrations away until the connection is closed.

    Whoever waited for the lock in the server would be a transaction meanwhile, and CREATE INDEX
    CONCURRENTLY waits for the end of all that are older.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while not connection.execute(select(func.pg_try_advisory_lock(_ADVISORY_LOCK))).scalar_one():
        connection.rollback()
        if time.monotonic() > deadline:
            raise SettingsError(
                "Another migration of this database is running: wait until it has ended, then try again."
            )
        time.sleep(0.2)
    connection.rollback()


def _is_newer(connection: Connection, config: Config) -> bool:
    """Say whether the database has a revision that this app's migrations do not know."""
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    return not known.issuperset(MigrationContext.configure(connection).get_current_heads())
