"""The movies in the database. Each method is one statement, and gives its connection back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from inventory_app.tables import movies
from platform_common.database import Prepared, retry_once
from platform_common.repository import Repository

# PostgreSQL's name for the root collation of ICU: it knows the letter cases of all scripts,
# whatever locale the database was made with.
_ANY_SCRIPT: Final = "und-x-icu"
# The index has three letters or digits in a row. Of a text without, it would give every row.
_KNOWN_TO_THE_INDEX: Final = re.compile(r"[^\W_]{3}")
WILDCARD: Final = re.compile(r"[\\%_]")
# What PostgreSQL's planner does not know: to take the letter case off a title costs as much as to read
# twenty rows, and the index is in memory. One request is not to take every processor. And what is
# prepared while there are few movies has to be right for many.
PLANNER_SETTINGS: Final = {
    "cpu_operator_cost": "0.05",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}


class Movie(NamedTuple):
    """One row of the table movies."""

    id: int
    title: str
    description: str

    def as_json(self) -> str:
        """Return the movie as the API shows it."""
        title, description = encode_basestring(self.title), encode_basestring(self.description)
        return f'{{"id":{self.id},"title":{title},"description":{description}}}'


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
        values = {"after": after, "rows": rows, "size": size}
        with self._engine.connect() as connection:
            if not title:
                found = _PAGE.run(connection, **values)
            elif _KNOWN_TO_THE_INDEX.search(title):
                text = WILDCARD.sub(r"\\\g<0>", title)
                found = connection.execute(PAGE_BY_INDEX, {**values, "title": text})
            else:
                found = connection.execute(PAGE_BY_READING, {**values, "title": title})
            return [Movie(*row) for row in found]

    @retry_once
    def get(self, movie_id: int) -> Movie | None:
        """Return the movie with this id, None where there is none."""
        with self._engine.connect() as connection:
            row = _ONE.run(connection, id=movie_id).one_or_none()
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


def _page(*conditions: ColumnElement[bool]) -> Select[int, str, str]:
    found = (
        select(movies)
        .where(movies.c.id > bindparam("after"), *conditions)
        .order_by(movies.c.id)
        .limit(bindparam("rows"))
        .subquery()
        .c
    )
    texts = func.octet_length(found.title) + func.octet_length(found.description)
    size_before = func.sum(texts).over(order_by=found.id, rows=(None, -2))
    sized = select(*found, size_before.label("before")).subquery().c
    return (
        select(sized.id, sized.title, sized.description)
        .where(func.coalesce(sized.before, 0) < bindparam("size"))
        .order_by(sized.id)
    )


_ONE: Final = Prepared("one_movie", select(movies).where(movies.c.id == bindparam("id")))
_PAGE: Final = Prepared("page_of_movies", _page())
# Made once: to make one takes longer than to run it. Not prepared, because how to find a text depends on it.
_FOLDED_TITLE: Final = _fold(movies.c.title)
_FOLDED_TEXT: Final = _fold(bindparam("title", type_=Text))
PAGE_BY_INDEX: Final = _page(_FOLDED_TITLE.like("%" + _FOLDED_TEXT + "%"))
PAGE_BY_READING: Final = _page(func.strpos(_FOLDED_TITLE, _FOLDED_TEXT) > 0)
