"""Running an app's Alembic migrations, which lie in its package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from platform_common.settings import SettingsError

LOCK_SECONDS: Final = 10
# Any number that nothing else in these databases uses: two migrations never run at once.
_ADVISORY_LOCK: Final = 7_102_413
_logger = logging.getLogger(__name__)


def migrate(engine: Engine, migrations: Path) -> None:
    """Bring the database to the newest schema, in one transaction.

    Args:
        engine: connects as the account that owns the tables, without autocommit.
        migrations: the directory that holds env.py and versions/.

    Raises:
        SettingsError: the database does not let us in.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations))
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise SettingsError(
            f"The database cannot be migrated, because it does not let us in: {error.orig}".strip()
        ) from error
    with connection, connection.begin():
        # Waiting for a table's lock makes everybody behind us wait too: rather fail.
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    _logger.info("the schema is the newest")
