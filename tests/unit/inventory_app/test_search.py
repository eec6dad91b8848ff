"""The search for a part of a title, by its index and without: what cannot be seen from outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text
from tests.library.apps import Database, body_of

from inventory_app.repository import PAGE_BY_INDEX, PAGE_BY_READING, PLANNER_SETTINGS, WILDCARD

# What PostgreSQL and JSON in UTF-8 can hold.
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255
).filter(str.strip)


def add(client: FlaskClient, title: str) -> None:
    answer = client.post("/api/movies", json={"title": title})
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def forced(movies_database: Database) -> Iterator[Connection]:
    """A connection on which PostgreSQL uses the index behind the search wherever it can."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: movies_database.server.connect(movies_database.name)
    )
    with engine.connect() as connection:
        for way in ("seqscan", "indexscan"):
            connection.execute(text(f"SET enable_{way} = off"))
        connection.commit()
        yield connection


@pytest.mark.parametrize(
    ("title", "searches"),
    [
        (
            "Die große Straße 東京物語",
            ["STRASSE", "strasse", "große", "GROSSE", "京物語", "東京", "e s", "s"],
        ),
        ("ΟΔΎΣΣΕΙΑ ΟΔΟΣ ΟΔΟΣΑ", ["οδύσσεια οδος", "ΟΔΟΣ", "οδοσα", "δος οδ"]),
        ("Й1a_%\\2", ["й1A_%\\2", "1a_", "a_%\\", "_%\\", "й"]),
        ("İstanbul ﬁlm ŉ ǅ", ["i\u0307stanbul", "FILM", "ﬁlm", "ǆ"]),
        ("ครูบ้านนอก สมศรี", ["บ้าน", "ครู", "ศรี"]),
        ("किताब e\u0301t\u00e9", ["किताब", "ताब", "E\u0301T", "t\u00c9"]),
    ],
)
def test_a_text_is_found_in_every_script_whether_the_index_knows_it_or_not(
    client: FlaskClient, database: Database, title: str, searches: list[str]
) -> None:
    # Enough others that the index is used.
    database.execute("INSERT INTO movies (title) SELECT 'Other ' || n FROM generate_series(1, 3000) n")
    add(client, title)
    database.execute("ANALYZE movies")
    for search in searches:
        answer = client.get("/api/movies", query_string={"title": search})
        assert [movie["title"] for movie in body_of(answer)["movies"]] == [title], search


@given(title=TEXTS, start=st.integers(0, 254), length=st.integers(1, 12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_finds_what_reading_every_title_finds(
    client: FlaskClient, forced: Connection, title: str, start: int, length: int
) -> None:
    add(client, title)
    part = title[start % len(title) :][:length]
    values = {"after": 0, "rows": 1001, "size": 10**6}
    by_index = forced.execute(PAGE_BY_INDEX, {**values, "title": WILDCARD.sub(r"\\\g<0>", part)}).all()
    assert by_index == forced.execute(PAGE_BY_READING, {**values, "title": part}).all() != []


@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize(
    ("search", "index"), [("needle", "movies_title_search"), ("haystack", "movies_pkey")]
)
def test_rare_texts_are_looked_up_and_frequent_ones_are_met_on_the_way(
    database: Database, forced: Connection, search: str, limit: int, index: str
) -> None:
    database.execute(
        "INSERT INTO movies (title) "
        "SELECT CASE n % 2500 WHEN 0 THEN 'Needle ' ELSE 'Haystack ' END || n "
        "FROM generate_series(1, 5000) n"
    )
    database.execute("ANALYZE movies")
    compiled = PAGE_BY_INDEX.compile(dialect=forced.dialect)
    values = compiled.params | {"after": 0, "rows": limit + 1, "size": 512 * 1024, "title": search}
    with database.server.connect(database.name) as connection, connection.cursor() as cursor:
        for name, value in PLANNER_SETTINGS.items():
            cursor.execute(f"SET {name} = {value}")
        cursor.execute(f"EXPLAIN {compiled}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan
    assert ("Sort" in plan) == (index == "movies_title_search")
