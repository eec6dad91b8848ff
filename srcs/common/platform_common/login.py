"""A new login with each account of the app: `python -m platform_common.login`.

It ends with 0 if the database and the broker let the app in with the passwords that its secret files
hold now, else with 1 and a line for each that does not. A running app keeps its connections, and so
would notice a password that does not work only when it starts again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from platform_common.settings import Environment, SettingsError


def _database() -> None:
    # Here and below: an app without a database, or without the broker, lacks the driver too.
    from sqlalchemy import text

    from platform_common.database import DatabaseSettings, make_engine

    engine = make_engine(DatabaseSettings.read(Environment()), "new login", pool_size=1)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


def _broker() -> None:
    from pika import BlockingConnection

    from platform_common.broker import BrokerSettings

    BlockingConnection(BrokerSettings.read(Environment()).connection_parameters("new login")).close()


LOGINS: Mapping[str, Callable[[], None]] = {"DATABASE_HOST": _database, "RABBITMQ_HOST": _broker}
"""Each login, by the environment variable of the apps that have such an account."""


def main() -> int:
    """Log in wherever the app has an account; returns the exit code."""
    code = 0
    for variable, login in LOGINS.items():
        if not os.environ.get(variable):
            continue
        try:
            login()
        except SettingsError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (shown, whatever the driver raises)
            reason = str(getattr(error, "orig", None) or repr(error)).strip()
        else:
            continue
        print(f"{os.environ[variable]} does not let the app in: {reason}")
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
