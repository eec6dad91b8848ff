"""The movies in the database. Each method is one statement, and gives its connection back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Engine, Text, delete, func, insert, literal, select, update

from inventory_app.tables import movies
from platform_common.database import retry_once
from platform_common.repository import Repository

# PostgreSQL's name for the root collation of ICU: it knows the letter cases of all scripts,
# whatever locale the database was made with.
_ANY_SCRIPT: Final = "und-x-icu"


class Movie(NamedTuple):
    """One row of the table movies."""

    id: int
    title: str
    description: str

    def as_dict(self) -> dict[str, Any]:
        """Return the movie as the API shows it."""
        return self._asdict()


class Movies(Repository):
    """What can be done with movies."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, movies)

    @retry_once
    def page(self, *, after: int, rows: int, size: int, title: str | None = None) -> Sequence[Movie]:
        """Return the next movies by ascending id.

        Args:
            after: only ids greater than this.
            rows: at most so many.
            size: end two movies after the texts have this many bytes together, so that the caller can see
                that there is more.
            title: only movies whose title contains this text, upper and lower case alike.
        """
        found = select(*self._columns).where(movies.c.id > after).order_by(movies.c.id).limit(rows)
        if title:
            # A search for a text, not for a pattern: no character is a wildcard.
            found = found.where(func.strpos(_fold(movies.c.title), _fold(literal(title, Text))) > 0)
        columns = found.subquery().c
        texts = func.octet_length(columns.title) + func.octet_length(columns.description)
        size_before = func.sum(texts).over(order_by=columns.id, rows=(None, -2))
        sized = select(*columns, size_before.label("before")).subquery().c
        statement = (
            select(sized.id, sized.title, sized.description)
            .where(func.coalesce(sized.before, 0) < size)
            .order_by(sized.id)
        )
        with self._engine.connect() as connection:
            return [Movie(*row) for row in connection.execute(statement)]

    @retry_once
    def get(self, movie_id: int) -> Movie | None:
        """Return the movie with this id, None where there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*self._columns).where(movies.c.id == movie_id)).one_or_none()
        return Movie(*row) if row else None

    def add(self, title: str, description: str) -> Movie:
        """Store a new movie and return it."""
        statement = insert(movies).values(title=title, description=description).returning(*self._columns)
        with self._engine.connect() as connection:
            return Movie(*connection.execute(statement).one())

    @retry_once
    def change(self, movie_id: int, values: dict[str, str]) -> Movie | None:
        """Set the columns in `values` and return the movie, None where there is none."""
        if not values:
            return self.get(movie_id)
        statement = update(movies).where(movies.c.id == movie_id).values(values).returning(*self._columns)
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return Movie(*row) if row else None

    def remove(self, movie_id: int) -> bool:
        """Delete a movie; returns whether there was one."""
        with self._engine.connect() as connection:
            return connection.execute(delete(movies).where(movies.c.id == movie_id)).rowcount == 1

    def remove_all(self) -> int:
        """Delete all movies; returns how many there were."""
        with self._engine.connect() as connection:
            return connection.execute(delete(movies)).rowcount


def _fold(value: ColumnElement[str]) -> ColumnElement[str]:
    """Return `value` without letter case. Both ways, because some letters have a partner in one only."""
    return func.upper(func.lower(value.collate(_ANY_SCRIPT)))
