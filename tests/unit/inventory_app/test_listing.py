"""Long lists: their length is announced, and memory and connections stay free."""

# ruff: noqa: S608 (the statements hold numbers of ours)
from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Flask
from helpers import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory_app import listing
from inventory_app.listing import Listing, ListOutgrown, Query, make_listing
from inventory_app.repository import Movies
from platform_common.database import DatabaseSettings, make_engine
from platform_common.settings import Environment

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@pytest.fixture
def movies(database: Database) -> Iterator[Movies]:
    engine = make_engine(DatabaseSettings.read(Environment(database.app)), "test", pool_size=1)
    yield Movies(engine)
    # Each test used one connection, and gave it back.
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


@pytest.fixture
def long_list(database: Database) -> int:
    """Fill the table with more than is sent in one piece; returns the number of rows."""
    rows = 5000
    database.execute(
        f"INSERT INTO movies (title, description) "
        f"SELECT 'Movie ' || n, repeat('\"é\\', 40) FROM generate_series(1, {rows}) n"
    )
    return rows


def in_parts(long: Listing) -> Iterator[bytes]:
    assert not isinstance(long.body, bytes), "the list is too short for this test"
    return long.body


def test_a_long_list_has_exactly_the_announced_length(movies: Movies, long_list: int) -> None:
    long = make_listing(movies, Query())
    body = b"".join(in_parts(long))
    assert len(body) == long.length
    document = json.loads(body)
    assert [movie["id"] for movie in document["movies"]] == list(range(1, long_list + 1))


def test_no_connection_is_held_between_batches(movies: Movies, long_list: int) -> None:
    # The pool has one connection: a second list could not be read while the first holds it.
    first, second = (in_parts(make_listing(movies, Query())) for _ in range(2))
    assert sum(1 for _ in zip(first, second, strict=True)) > long_list / listing.BATCH_ROWS


def test_rows_that_come_and_go_meanwhile_do_not_break_the_list(
    movies: Movies, database: Database, long_list: int
) -> None:
    long = make_listing(movies, Query())
    parts = in_parts(long)
    begin = next(parts)
    database.execute(f"DELETE FROM movies WHERE id BETWEEN {long_list - 999} AND {long_list - 500}")
    database.execute("INSERT INTO movies (title) SELECT 'late' FROM generate_series(1, 100)")
    database.execute(f"UPDATE movies SET title = 'changed ' || id WHERE id = {long_list}")
    body = begin + b"".join(parts)
    assert len(body) == long.length
    document = json.loads(body)
    assert [movie["id"] for movie in document["movies"]] == [
        *range(1, long_list - 999),
        *range(long_list - 499, long_list + 1),
    ]
    assert document["movies"][-1]["title"] == f"changed {long_list}"


def test_a_list_that_outgrows_its_announcement_breaks_off(
    movies: Movies, database: Database, long_list: int
) -> None:
    long = make_listing(movies, Query())
    parts = in_parts(long)
    sent = len(next(parts))
    database.execute(f"UPDATE movies SET description = repeat('x', 9000) WHERE id > {long_list // 2}")
    received: list[bytes] = []
    with pytest.raises(ListOutgrown):
        received.extend(parts)
    assert sent + sum(map(len, received)) < long.length


def test_a_long_page_has_its_next_url(movies: Movies, database: Database) -> None:
    database.execute(
        "INSERT INTO movies (title, description) SELECT 'x', repeat('é', 2000) FROM generate_series(1, 600)"
    )
    long = make_listing(movies, Query(limit=500))
    body = b"".join(in_parts(long))
    assert len(body) == long.length
    document = json.loads(body)
    assert len(document["movies"]) == 500
    assert document["next"] == "/api/movies?limit=500&after=500"


@given(texts=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_counts_the_bytes_of_json_as_python_writes_them(
    movies: Movies, database: Database, texts: list[tuple[str, str]]
) -> None:
    database.execute("TRUNCATE movies")
    written = [movies.add(title or "x", description) for title, description in texts]
    expected = sum(len(json.dumps(value, ensure_ascii=False).encode()) for row in written for value in row)
    assert movies.extent(after=0).value_bytes == expected


def test_so_many_long_lists_at_once_leave_threads_for_others(app: Flask, long_list: int) -> None:
    assert long_list
    streams = 4  # half of the eight threads of this app
    client = app.test_client()
    answers = [client.get("/api/movies") for _ in range(streams)]
    assert [answer.status_code for answer in answers] == [200] * streams
    refused = client.get("/api/movies")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert client.get("/api/movies?limit=5").status_code == 200
    answers[0].close()
    assert client.get("/api/movies").status_code == 200
    for answer in answers:
        answer.close()
