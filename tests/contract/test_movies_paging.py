from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.api import Api, assert_problem
from tests.contract.conftest import Movie, NewMovie


def pages(api: Api, first: str) -> list[list[Movie]]:
    """Follow `next` to the end."""
    result = []
    following: str | None = first
    while following is not None:
        assert following.startswith("/api/movies?"), "the next page is a relative URL"
        response = api.get(following)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        assert page.keys() <= {"movies", "next"}
        result.append(page["movies"])
        following = page.get("next")
    return result


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (6, [5]), (1000, [5])])
def test_pages_hold_each_movie_once_in_ascending_order(
    api: Api, new_movie: NewMovie, unique: str, limit: int, sizes: list[int]
) -> None:
    movies = [new_movie(f"{unique} {number}") for number in range(5)]
    got = pages(api, f"/api/movies?title={unique}&limit={limit}")
    assert [len(page) for page in got] == sizes
    assert [movie for page in got for movie in page] == movies


def test_a_page_begins_after_the_id(api: Api, new_movie: NewMovie, unique: str) -> None:
    movies = [new_movie(unique) for _ in range(4)]
    response = api.get("/api/movies", params={"title": unique, "limit": 2, "after": movies[0]["id"]})
    assert response.json()["movies"] == movies[1:3]


def test_the_id_to_begin_after_needs_not_exist(api: Api, new_movie: NewMovie, unique: str) -> None:
    movies = [new_movie(unique) for _ in range(3)]
    api.delete(f"/api/movies/{movies[1]['id']}")
    response = api.get("/api/movies", params={"title": unique, "limit": 2, "after": movies[1]["id"]})
    assert response.json() == {"movies": [movies[2]]}


def test_the_last_page_names_no_next_one(api: Api, new_movie: NewMovie, unique: str) -> None:
    movie = new_movie(unique)
    response = api.get("/api/movies", params={"title": unique, "limit": 1, "after": movie["id"]})
    assert response.json() == {"movies": []}


@pytest.mark.parametrize("text", ["a&b=c", "50%", "a+b", "é #1", "x_y\\z"])
def test_the_next_page_keeps_the_search(api: Api, new_movie: NewMovie, unique: str, text: str) -> None:
    movies = [new_movie(f"{unique} {text}") for _ in range(3)]
    new_movie(f"{unique} other")
    first = api.get("/api/movies", params={"title": f"{unique} {text}", "limit": 2}).json()
    assert first["movies"] == movies[:2]
    query = parse_qs(urlsplit(first["next"]).query)
    assert query["title"] == [f"{unique} {text}"]
    assert api.get(first["next"]).json() == {"movies": movies[2:]}


def test_pages_miss_nothing_while_rows_come_and_go(api: Api, new_movie: NewMovie, unique: str) -> None:
    movies = [new_movie(unique) for _ in range(6)]
    first = api.get("/api/movies", params={"title": unique, "limit": 2}).json()
    api.delete(f"/api/movies/{movies[0]['id']}")
    api.delete(f"/api/movies/{movies[3]['id']}")
    late = new_movie(unique)
    rest = [movie for page in pages(api, first["next"]) for movie in page]
    assert rest == [movies[2], movies[4], movies[5], late]


@pytest.mark.parametrize(
    "value", ["0", "-1", "1001", "abc", "1.5", "1e2", "", "9" * 30, "%D9%A3", "1_0", "%00"]
)
def test_a_wrong_limit_is_refused(api: Api, value: str) -> None:
    assert_problem(api.get(f"/api/movies?limit={value}"), 400, "limit")


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "1e2", "", "%D9%A3", "1_0", "%00"])
def test_a_wrong_id_to_begin_after_is_refused(api: Api, value: str) -> None:
    assert_problem(api.get(f"/api/movies?limit=10&after={value}"), 400, "after")


@pytest.mark.parametrize("value", [2**31, 2**63 - 1, 2**63, 10**30])
def test_a_huge_id_to_begin_after_breaks_nothing(api: Api, value: int) -> None:
    response = api.get("/api/movies", params={"limit": 10, "after": value})
    if value < 2**63 or response.status_code == 200:
        assert response.json() == {"movies": []}
    else:
        assert_problem(response, 400, "after")


def test_more_movies_than_the_largest_page_come_in_one_list_and_in_pages(api: Api) -> None:
    prefix = "catalogue-of-1050-"
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda number: api.post(
                    "/api/movies", {"title": f"{prefix}{number}", "description": ""}
                ).json(),
                range(1050),
            )
        )
        try:
            expected = sorted(made, key=lambda movie: movie["id"])
            ids = {movie["id"] for movie in made}
            everything = api.get("/api/movies").json()
            assert everything.keys() == {"movies"}
            listed = [movie["id"] for movie in everything["movies"]]
            assert listed == sorted(set(listed)), "ascending, and each once"
            assert [movie for movie in everything["movies"] if movie["id"] in ids] == expected
            assert api.get("/api/movies", params={"title": prefix}).json() == {"movies": expected}
            in_pages = pages(api, f"/api/movies?title={prefix}&limit=1000")
            assert [len(page) for page in in_pages] == [1000, 50]
            assert [movie for page in in_pages for movie in page] == expected
        finally:
            list(pool.map(lambda movie: api.delete(f"/api/movies/{movie['id']}"), made))
