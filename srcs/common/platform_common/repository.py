"""What the apps' repositories share: whether the database answers, and whether the table is the app's."""

from __future__ import annotations

from sqlalchemy import Engine, Table, select, text


class Repository:
    """One table of a database.

    Every method, of the classes made from it too, raises `sqlalchemy.exc.DBAPIError` or `TimeoutError`
    where the database fails.

    Args:
        engine: the database.
        table: the table as this app knows it.
    """

    def __init__(self, engine: Engine, table: Table) -> None:
        self._engine = engine
        self._columns = tuple(table.c)

    def ping(self) -> None:
        """Return if the database answers."""
        with self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def check(self) -> None:
        """Return if the table can be read as this app knows it."""
        with self._engine.connect() as connection:
            connection.execute(select(*self._columns).limit(1)).all()
