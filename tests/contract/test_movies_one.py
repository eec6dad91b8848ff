from __future__ import annotations

from typing import Any

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem

HUGE = 2**63 - 1

# What Python, PostgreSQL or a URL parser might take for a number.
NO_IDS = [
    "abc",
    "1.5",
    "-1",
    "1e3",
    "0x10",
    "1_000",
    "%2B1",
    "%201",
    "1%20",
    "%D9%A3",
    "%C2%B2",
    "1%00",
    "%FF",
    "1;2",
    "1,2",
    "%27",
    "null",
    "NaN",
]


@pytest.mark.parametrize("number", [0, HUGE, HUGE + 1, 10**30, 10**200])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_number_without_a_movie_is_not_found(api: Api, method: str, number: int) -> None:
    body = {"json": {"title": "any"}} if method == "PUT" else {}
    assert_problem(api.call(method, f"/api/movies/{number}", **body), 404)


@pytest.mark.parametrize("text", NO_IDS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_id_that_is_no_number_is_not_found(api: Api, method: str, text: str) -> None:
    body = {"json": {"title": "any"}} if method == "PUT" else {}
    assert_problem(api.call(method, f"/api/movies/{text}", **body), 404)


@pytest.mark.parametrize(
    "change", [{"title": "changed"}, {"description": ""}, {"title": "changed", "description": "both"}, {}]
)
def test_a_change_leaves_the_other_field_as_it_was(
    api: Api, new_movie: NewMovie, unique: str, change: dict[str, str]
) -> None:
    movie = new_movie(unique, "text")
    response = api.put(f"/api/movies/{movie['id']}", change)
    assert response.status_code == 200
    assert response.json() == movie | change
    assert api.get(f"/api/movies/{movie['id']}").json() == movie | change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", " \t"),
        ("title", "a" * 256),
        ("title", None),
        ("title", 1),
        ("title", "a\0b"),
        ("title", "\ud800"),
        ("description", "a" * 10_001),
        ("description", None),
        ("description", []),
        ("description", "a\0b"),
        ("id", 7),
        ("no_field", 1999),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    api: Api, new_movie: NewMovie, unique: str, field: str, value: Any
) -> None:
    movie = new_movie(unique, "text")
    assert_problem(api.put(f"/api/movies/{movie['id']}", {field: value}), 400, field)
    assert api.get(f"/api/movies/{movie['id']}").json() == movie


def test_a_deleted_movie_is_gone(api: Api, new_movie: NewMovie, unique: str) -> None:
    movie = new_movie(unique)
    response = api.delete(f"/api/movies/{movie['id']}")
    assert response.status_code == 200
    assert response.json() == {"deleted": 1}
    for method in ("GET", "DELETE"):
        assert_problem(api.call(method, f"/api/movies/{movie['id']}"), 404, str(movie["id"]))
    assert_problem(api.put(f"/api/movies/{movie['id']}", {"title": "back"}), 404)
    assert api.get("/api/movies", params={"title": unique}).json() == {"movies": []}


def test_deleting_one_movie_leaves_the_others(api: Api, new_movie: NewMovie, unique: str) -> None:
    gone, stays = new_movie(unique), new_movie(unique)
    api.delete(f"/api/movies/{gone['id']}")
    assert api.get("/api/movies", params={"title": unique}).json() == {"movies": [stays]}
