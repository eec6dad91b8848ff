"""The movies API, on a real database."""

# ruff: noqa: S608 (the statements hold values of ours)

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from helpers import Database, body_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text
from werkzeug.test import TestResponse

from inventory_app.repository import PAGE_BY_INDEX, PAGE_BY_READING, PLANNER_SETTINGS, WILDCARD

# What PostgreSQL and JSON in UTF-8 can hold.
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255
).filter(str.strip)


def add(client: FlaskClient, title: str, description: str = "") -> dict[str, Any]:
    answer = client.post("/api/movies", json={"title": title, "description": description})
    assert answer.status_code == 200, answer.text
    movie: dict[str, Any] = body_of(answer)
    return movie


def listed(client: FlaskClient, **parameters: str) -> list[str]:
    answer = client.get("/api/movies", query_string=parameters)
    assert answer.status_code == 200, answer.text
    return [movie["title"] for movie in body_of(answer)["movies"]]


def pages(client: FlaskClient, url: str) -> list[list[int]]:
    """Follow `next` to the end; return the ids of each page."""
    result = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        result.append([movie["id"] for movie in body_of(answer)["movies"]])
        url = body_of(answer).get("next", "")
    return result


def assert_problem(answer: TestResponse, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document = body_of(answer)
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= document.keys()
    assert document["status"] == status
    for word in words:
        assert word in document["detail"]


@pytest.mark.parametrize("path", ["/api/movies", "/api/movies/"])
def test_an_empty_catalogue_is_an_empty_list(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, body_of(answer)) == (200, {"movies": []})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/api/movies", "/api/movies/"])
def test_a_new_movie_is_answered_as_it_is_listed_with_its_location(client: FlaskClient, path: str) -> None:
    answer = client.post(path, json={"title": "Alien", "description": "In space"})
    assert answer.status_code == 200
    assert body_of(answer) == {"id": 1, "title": "Alien", "description": "In space"}
    assert answer.headers["Location"] == "/api/movies/1"
    assert body_of(client.get("/api/movies")) == {"movies": [body_of(answer)]}
    assert body_of(client.get("/api/movies/1")) == body_of(answer)
    assert body_of(client.get("/api/movies/1/")) == body_of(answer)


def test_a_description_may_be_left_out(client: FlaskClient) -> None:
    answer = client.post("/api/movies", json={"title": "Alien"})
    assert body_of(answer) == {"id": 1, "title": "Alien", "description": ""}


@given(title=TEXTS, description=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_as_it_was_sent(client: FlaskClient, title: str, description: str) -> None:
    movie = add(client, title, description)
    assert (movie["title"], movie["description"]) == (title, description)
    assert body_of(client.get(f"/api/movies/{movie['id']}")) == movie
    assert movie in body_of(client.get("/api/movies"))["movies"]


@given(title=TEXTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_movie_is_found_by_any_part_of_its_title(client: FlaskClient, title: str) -> None:
    movie = add(client, title)
    part = title[len(title) // 3 : len(title) // 3 + 5]
    found = body_of(client.get("/api/movies", query_string={"title": part}))["movies"]
    assert movie in found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"title": ""}, ["title", "at least 1 character"]),
        ({"title": " \t\u2003"}, ["title", "blank"]),
        ({"title": "x" * 256}, ["title", "at most 255 characters"]),
        ({"title": 5}, ["title", "text"]),
        ({"title": None}, ["title"]),
        ({"title": "x", "description": None}, ["description"]),
        ({"title": "x", "description": "y" * 10_001}, ["description", "10,000"]),
        ({"title": "x", "year": 1}, ["year", "unknown"]),
        ({"title": "x", "id": 1}, ["id", "unknown"]),
        ({"title": "a\0b"}, ["title", "NUL"]),
        ({"title": "x", "description": "\ud800"}, ["description", "surrogate"]),
        ({"title": "", "year": 1}, ["title", "year"]),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_wrong_field_is_named(
    client: FlaskClient, method: str, body: dict[str, Any], words: list[str]
) -> None:
    movie = add(client, "before")
    path = "/api/movies" if method == "POST" else f"/api/movies/{movie['id']}"
    answer = client.open(path, method=method, data=json.dumps(body), content_type="application/json")
    assert_problem(answer, 400, *words)
    assert body_of(client.get("/api/movies")) == {"movies": [movie]}


def test_a_new_movie_needs_a_title(client: FlaskClient) -> None:
    assert_problem(client.post("/api/movies", json={"description": "x"}), 400, "title", "missing")


def test_lengths_are_counted_in_characters_and_the_longest_fit(client: FlaskClient) -> None:
    movie = add(client, "\U0001f3ac" * 255, "é" * 10_000)
    assert len(body_of(client.get(f"/api/movies/{movie['id']}"))["description"]) == 10_000


@pytest.mark.parametrize(
    ("content", "content_type", "status", "word"),
    [
        (b"title=x", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b'{"title": "x"}', None, 415, "Content-Type"),
        (b'{"title": "x"}', "text/plain", 415, "Content-Type"),
        (b'{"title": "x"}', "application/json; charset=latin-1", 415, "UTF-8"),
        (b"", "application/json", 400, "empty"),
        (b"{", "application/json", 400, "JSON"),
        (b'["title"]', "application/json", 400, "object"),
        (b'{"title": "x", "title": "y"}', "application/json", 400, "title"),
        (b'{"title": NaN}', "application/json", 400, "NaN"),
        (b'{"title": "\xff"}', "application/json", 400, "UTF-8"),
        (b"[" * 100_000, "application/json", 400, "deep"),
        (b'{"title": ' + b"1" * 5000 + b"}", "application/json", 400, "title: must be a text"),
        (b'{"title": "' + b"x" * 131_059 + b'"}', "application/json", 400, "255"),
        (b'{"title": "' + b"x" * 131_060 + b'"}', "application/json", 413, "131,072"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(
    client: FlaskClient, content: bytes, content_type: str | None, status: int, word: str
) -> None:
    assert_problem(client.post("/api/movies", data=content, content_type=content_type), status, word)


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "application/vnd.api+json"])
def test_the_usual_names_of_json_are_taken(client: FlaskClient, content_type: str) -> None:
    answer = client.post("/api/movies", data=b'{"title": "x"}', content_type=content_type)
    assert answer.status_code == 200


def test_either_field_can_be_changed_alone(client: FlaskClient) -> None:
    add(client, "Alien", "In space")
    answer = client.put("/api/movies/1", json={"title": "Aliens"})
    assert (answer.status_code, body_of(answer)) == (
        200,
        {"id": 1, "title": "Aliens", "description": "In space"},
    )
    answer = client.put("/api/movies/1/", json={"description": ""})
    assert body_of(answer) == {"id": 1, "title": "Aliens", "description": ""}
    assert body_of(client.get("/api/movies/1")) == body_of(answer)


def test_a_change_of_nothing_changes_nothing(client: FlaskClient) -> None:
    movie = add(client, "Alien")
    answer = client.put("/api/movies/1", json={})
    assert (answer.status_code, body_of(answer)) == (200, movie)


def test_a_deleted_movie_is_gone_and_only_that_one(client: FlaskClient) -> None:
    add(client, "one")
    add(client, "two")
    answer = client.delete("/api/movies/1")
    assert (answer.status_code, body_of(answer)) == (200, {"deleted": 1})
    assert listed(client) == ["two"]
    assert_problem(client.delete("/api/movies/1"), 404, "1")


def test_deleting_all_says_how_many_there_were(client: FlaskClient) -> None:
    for title in ("one", "two", "three"):
        add(client, title)
    assert body_of(client.delete("/api/movies/")) == {"deleted": 3}
    assert body_of(client.delete("/api/movies")) == {"deleted": 0}
    assert listed(client) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "movie_id",
    [
        "0",
        "2",
        "-1",
        "abc",
        "1.0",
        "1e0",
        "+1",
        "%D9%A1",
        "9223372036854775807",
        "9223372036854775808",
        "9" * 400,
        "%20",
        "1%00",
        "null",
        "1,2",
        "%2e%2e",
    ],
)
def test_an_id_without_a_movie_is_not_found(client: FlaskClient, method: str, movie_id: str) -> None:
    add(client, "one")
    answer = client.open(f"/api/movies/{movie_id}", method=method, json={"title": "new"})
    assert_problem(answer, 404)
    assert listed(client) == ["one"]


def test_search_ignores_letter_case_in_every_script(client: FlaskClient) -> None:
    for title in ("Amélie", "ΟΔΎΣΣΕΙΑ ΟΔΟΣ", "Страшный суд", "Die Straße", "Other"):
        add(client, title)
    assert listed(client, title="AMÉLIE") == ["Amélie"]
    assert listed(client, title="οδύσσεια οδος") == ["ΟΔΎΣΣΕΙΑ ΟΔΟΣ"]
    assert listed(client, title="СТРАШ") == ["Страшный суд"]
    assert listed(client, title="STRASSE") == ["Die Straße"]
    assert listed(client, title="amelie") == []


@pytest.mark.parametrize("sign", ["%", "_", "\\", "\\%", "'", '"', "*", "(", "+", "&"])
def test_every_sign_in_a_search_stands_for_itself(client: FlaskClient, sign: str) -> None:
    add(client, f"a{sign}b")
    add(client, "axb")
    add(client, "plain")
    assert listed(client, title=sign) == [f"a{sign}b"]
    assert listed(client, title=f"A{sign}B") == [f"a{sign}b"]


@pytest.mark.parametrize(
    ("title", "searches"),
    [
        (
            "Die große Straße 東京物語",
            ["STRASSE", "strasse", "große", "GROSSE", "京物語", "東京", "e s", "s"],
        ),
        ("ΟΔΟΣ ΟΔΟΣΑ", ["οδος", "ΟΔΟΣ", "οδοσα", "δος οδ"]),
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
        assert listed(client, title=search) == [title], search


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


@pytest.mark.parametrize(
    ("search", "limit", "index"),
    [
        ("needle", 1, "movies_title_search"),
        ("needle", 1000, "movies_title_search"),
        ("haystack", 1, "movies_pkey"),
        ("haystack", 1000, "movies_pkey"),
    ],
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


def test_an_empty_search_text_is_in_every_title(client: FlaskClient) -> None:
    add(client, "one")
    assert listed(client, title="") == ["one"]


def test_pages_lead_through_the_whole_catalogue(client: FlaskClient, database: Database) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, 25) n")
    assert pages(client, "/api/movies?limit=10") == [
        list(range(1, 11)),
        list(range(11, 21)),
        list(range(21, 26)),
    ]


def test_the_next_page_is_a_relative_url_that_keeps_the_search(
    client: FlaskClient, database: Database
) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'Été 100% & ' || n FROM generate_series(1, 3) n")
    add(client, "Winter")
    document = body_of(client.get("/api/movies", query_string={"title": "été 100% &", "limit": "2"}))
    parts = urlsplit(document["next"])
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/api/movies")
    assert parse_qs(parts.query) == {"title": ["été 100% &"], "limit": ["2"], "after": ["2"]}
    last = body_of(client.get(document["next"]))
    assert [movie["id"] for movie in last["movies"]] == [3]
    assert "next" not in last


def test_there_is_no_next_page_when_the_last_one_is_just_full(
    client: FlaskClient, database: Database
) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'x' FROM generate_series(1, 10)")
    assert "next" not in body_of(client.get("/api/movies?limit=10"))
    assert "next" in body_of(client.get("/api/movies?limit=9"))


def test_paging_goes_on_where_rows_came_and_went(client: FlaskClient, database: Database) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'x' FROM generate_series(1, 6)")
    following = body_of(client.get("/api/movies?limit=3"))["next"]
    client.delete("/api/movies/3")
    client.delete("/api/movies/4")
    add(client, "new")
    assert [movie["id"] for movie in body_of(client.get(following))["movies"]] == [5, 6, 7]


def test_after_without_a_limit_is_the_rest_of_the_catalogue(client: FlaskClient, database: Database) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'x' FROM generate_series(1, 500)")
    assert pages(client, "/api/movies?after=100") == [list(range(101, 501))]


@pytest.mark.parametrize(
    ("query", "following"),
    [
        ("", "/api/movies?after=1000"),
        ("?limit=1000", "/api/movies?limit=1000&after=1000"),
        ("?title=%C3%A9%26", "/api/movies?title=%C3%A9%26&after=1000"),
    ],
)
def test_more_than_a_thousand_movies_are_more_than_one_page(
    client: FlaskClient, database: Database, query: str, following: str
) -> None:
    database.execute("INSERT INTO movies (title) SELECT 'É& ' || n FROM generate_series(1, 1001) n")
    answer = client.get(f"/api/movies{query}")
    assert body_of(answer)["next"] == following
    assert answer.headers["Link"] == f'<{following}>; rel="next"'
    assert pages(client, f"/api/movies{query}") == [list(range(1, 1001)), [1001]]
    assert "Link" not in client.get(following).headers


# Of the third, JSON is six times as long as the text; of the last, no two fit into a page.
@pytest.mark.parametrize(
    ("letter", "length"), [("x", 10_000), ("é", 9_000), ("\x01", 10_000), ("x", 1024 * 1024)]
)
@pytest.mark.parametrize("query", ["", "?limit=1000"])
def test_a_page_of_large_movies_is_about_192_kib(
    client: FlaskClient, database: Database, letter: str, length: int, query: str
) -> None:
    database.execute(
        "INSERT INTO movies (title, description) "
        f"SELECT 'x', repeat(chr({ord(letter)}), {length}) FROM generate_series(1, 60)"
    )
    size = len(client.get(f"/api/movies{query}").data)
    entry = len(json.dumps(letter * length, ensure_ascii=False).encode()) + 100
    assert 192 * 1024 - entry < size < max(192 * 1024, entry) + 100
    assert [number for page in pages(client, f"/api/movies{query}") for number in page] == list(range(1, 61))


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=9223372036854775808", "after"),
        ("title=%00", "title"),
        ("title=%FF", "title"),
        ("title=%ED%A0%80", "title"),
        ("titel=x", "titel"),
        ("foo", "foo"),
        ("=x", "unknown"),
        ("%FF=1", "UTF-8"),
    ],
)
def test_a_wrong_query_parameter_is_named(client: FlaskClient, query: str, word: str) -> None:
    assert_problem(client.get(f"/api/movies?{query}"), 400, word)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_parameter_that_would_be_ignored_is_refused(client: FlaskClient, method: str) -> None:
    add(client, "one")
    answer = client.open("/api/movies?title=x", method=method, json={"title": "two"})
    assert_problem(answer, 400, "title")
    assert listed(client) == ["one"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/movies", {"GET", "HEAD", "OPTIONS", "POST", "DELETE"}),
        ("/api/movies/", {"GET", "HEAD", "OPTIONS", "POST", "DELETE"}),
        ("/api/movies/1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
    ],
)
def test_methods_are_told_by_options_and_by_the_refusal(
    client: FlaskClient, path: str, allowed: set[str]
) -> None:
    options = client.options(path)
    assert options.status_code == 200
    refused = client.patch(path, json={})
    assert_problem(refused, 405, "PATCH")
    for answer in (options, refused):
        assert {method.strip() for method in answer.headers["Allow"].split(",")} == allowed


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    add(client, "one")
    for path in ("/api/movies", "/api/movies/1"):
        answer = client.head(path)
        assert (answer.status_code, answer.data, answer.content_type) == (200, b"", "application/json")
    assert client.head("/api/movies/2").status_code == 404
    assert client.head("/api/movies?limit=x").status_code == 400


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/movies/1/2", "//api/movies", "/api//movies", "/API/movies"]
)
def test_an_unknown_route_is_a_problem_document(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404)
