"""The command `migrate`."""

from __future__ import annotations

from pathlib import Path

from platform_common.database import DatabaseSettings, make_engine
from platform_common.logs import configure_logging
from platform_common.migrations import migrate as run_migrations
from platform_common.settings import BaseSettings, Environment


def migrate() -> None:
    """Bring the database to the newest schema, as the account in DATABASE_USER.

    Raises:
        SettingsError: a setting is missing, or the database does not let us in.
    """
    # The migrations' account has no password for the broker.
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
    )
    run_migrations(engine, Path(__file__).parent / "migrations")
    engine.dispose()
