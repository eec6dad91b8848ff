"""The movies in the database. Each method is one statement, and gives its connection back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

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


@dataclass(frozen=True)
class Extent:
    """How much a selection of movies holds: its rows, the last id, and the bytes of their values as JSON."""

    rows: int
    last_id: int
    value_bytes: int


class Movies(Repository):
    """What can be done with movies."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, movies)

    @retry_once
    def batch(
        self, *, after: int, limit: int, title: str | None = None, up_to: int | None = None
    ) -> Sequence[Movie]:
        """Return the next movies by ascending id.

        Args:
            after: only ids greater than this.
            limit: at most so many.
            title: only movies whose title contains this text, upper and lower case alike.
            up_to: only ids up to this one.
        """
        statement = (
            select(*self._columns).where(*_conditions(after, title, up_to)).order_by(movies.c.id).limit(limit)
        )
        with self._engine.connect() as connection:
            return [Movie(*row) for row in connection.execute(statement)]

    @retry_once
    def extent(self, *, after: int, title: str | None = None, limit: int | None = None) -> Extent:
        """Return how much the movies hold that `batch` would give in the end, for the same arguments."""
        # Alike in PostgreSQL and Python: the same characters are escaped, in the same way.
        size = sum(
            (func.octet_length(cast(func.to_json(column), Text)) for column in self._columns),
            start=literal(0, Integer),
        )
        rows = (
            select(movies.c.id, size.label("size"))
            .where(*_conditions(after, title, None))
            .order_by(movies.c.id)
        )
        selected = (rows if limit is None else rows.limit(limit)).subquery()
        statement = select(
            func.count(),
            func.coalesce(func.max(selected.c.id), after),
            func.coalesce(func.sum(selected.c.size), 0),
        ).select_from(selected)
        with self._engine.connect() as connection:
            count, last_id, value_bytes = connection.execute(statement).one()
        return Extent(int(count), int(last_id), int(value_bytes))

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


def _conditions(after: int, title: str | None, up_to: int | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [movies.c.id > after]
    if title:
        # A search for a text, not for a pattern: no character is a wildcard.
        conditions.append(func.strpos(_fold(movies.c.title), _fold(literal(title, Text))) > 0)
    if up_to is not None:
        conditions.append(movies.c.id <= up_to)
    return conditions


def _fold(value: ColumnElement[str]) -> ColumnElement[str]:
    """Return `value` without letter case. Both ways, because some letters have a partner in one only."""
    return func.upper(func.lower(value.collate(_ANY_SCRIPT)))
