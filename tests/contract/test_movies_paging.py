from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from tests.contract.conftest import Movie, NewMovie
from tests.library.api import Api, assert_problem

PAGE_BYTES = 192 * 1024


def make_many(api: Api, title: str, number: int, description: str = "") -> list[Movie]:
    """Make movies at the same time; return them by ascending id."""
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda _: api.post("/api/movies", {"title": title, "description": description}).json(),
            range(number),
        )
        return sorted(made, key=lambda movie: int(movie["id"]))


def delete(api: Api, movies: list[Movie]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda movie: api.delete(f"/api/movies/{movie['id']}"), movies))


def next_of(response: requests.Response) -> str | None:
    """Return where the next page is, after a look at both ways in which that is said."""
    following: str | None = response.json().get("next")
    assert response.headers.get("Link") == (following and f'<{following}>; rel="next"')
    assert following is None or following.startswith("/api/movies?"), "the next page is a relative URL"
    return following


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (6, [5]), (1000, [5])])
def test_pages_hold_each_movie_once_in_ascending_order(
    api: Api, new_movie: NewMovie, unique: str, limit: int, sizes: list[int]
) -> None:
    movies = [new_movie(f"{unique} {number}") for number in range(5)]
    got = list(api.movie_pages(f"/api/movies?title={unique}&limit={limit}"))
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
    response = api.get("/api/movies", params={"title": f"{unique} {text}", "limit": 2})
    assert response.json()["movies"] == movies[:2]
    following = next_of(response)
    assert following
    assert parse_qs(urlsplit(following).query) == {
        "title": [f"{unique} {text}"],
        "limit": ["2"],
        "after": [str(movies[1]["id"])],
    }
    last = api.get(following)
    assert last.json() == {"movies": movies[2:]}
    assert next_of(last) is None


def test_pages_miss_nothing_while_rows_come_and_go(api: Api, new_movie: NewMovie, unique: str) -> None:
    movies = [new_movie(unique) for _ in range(6)]
    first = api.get("/api/movies", params={"title": unique, "limit": 2}).json()
    api.delete(f"/api/movies/{movies[0]['id']}")
    api.delete(f"/api/movies/{movies[3]['id']}")
    late = new_movie(unique)
    assert api.movies(first["next"]) == [movies[2], movies[4], movies[5], late]


@pytest.mark.parametrize(
    "value", ["0", "-1", "1001", "abc", "1.5", "1e2", "", "9" * 30, "%D9%A3", "1_0", "%00"]
)
def test_a_wrong_limit_is_refused(api: Api, value: str) -> None:
    assert_problem(api.get(f"/api/movies?limit={value}"), 400, "limit")


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "1e2", "", "%D9%A3", "1_0", "%00"])
def test_a_wrong_id_to_begin_after_is_refused(api: Api, value: str) -> None:
    assert_problem(api.get(f"/api/movies?limit=10&after={value}"), 400, "after")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("titel=x", "titel"),
        ("foo", "foo"),
        ("=x", "unknown"),
        ("%FF=1", "UTF-8"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, query: str, name: str) -> None:
    assert_problem(api.get(f"/api/movies?{query}"), 400, name)


def test_a_parameter_that_would_be_ignored_is_refused(api: Api, unique: str) -> None:
    assert_problem(api.post("/api/movies?title=x", {"title": unique}), 400, "title")
    assert api.movies(f"/api/movies?title={unique}") == []


@pytest.mark.parametrize("value", [2**31, 2**63 - 1, 2**63, 10**30])
def test_a_huge_id_to_begin_after_breaks_nothing(api: Api, value: int) -> None:
    response = api.get("/api/movies", params={"limit": 10, "after": value})
    if value < 2**63 or response.status_code == 200:
        assert response.json() == {"movies": []}
    else:
        assert_problem(response, 400, "after")


def test_the_first_page_has_up_to_1000_movies_and_leads_to_the_others(api: Api, unique: str) -> None:
    movies = make_many(api, unique, 1001)
    before = movies[0]["id"] - 1
    try:
        for query in (f"title={unique}", f"after={before}", f"title={unique}&limit=1000"):
            response = api.get(f"/api/movies?{query}")
            assert len(response.json()["movies"]) == 1000
            assert next_of(response)
        assert list(api.movie_pages(f"/api/movies?title={unique}")) == [movies[:1000], movies[1000:]]
        everything = api.movies()
        ids = [movie["id"] for movie in everything]
        assert ids == sorted(set(ids)), "ascending, and each once"
        assert [movie for movie in everything if movie["title"] == unique] == movies
    finally:
        delete(api, movies)


# In JSON, the last one is six times as long.
@pytest.mark.parametrize("character", ["a", "é", '"', "\x01"])
def test_a_page_of_large_movies_is_bounded_by_its_size(api: Api, unique: str, character: str) -> None:
    movies = make_many(api, unique, 70, character * 9_000)
    try:
        for limit in ("", "&limit=1000"):
            response = api.get(f"/api/movies?title={unique}{limit}")
            assert next_of(response)
            assert 128 * 1024 <= len(response.content) <= PAGE_BYTES * 5 / 4
            assert api.movies(f"/api/movies?title={unique}{limit}") == movies
    finally:
        delete(api, movies)


def test_each_movie_that_stays_is_on_one_page_while_others_come_and_go(api: Api, unique: str) -> None:
    stay = make_many(api, f"{unique} stays", 60)
    come_and_go: list[Movie] = []
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            come_and_go.append(api.post("/api/movies", {"title": f"{unique} goes"}).json())
            if len(come_and_go) > 5:
                api.delete(f"/api/movies/{come_and_go.pop(0)['id']}")

    with ThreadPoolExecutor() as pool:
        changing = pool.submit(change)
        # So that some lie between those that stay.
        stay += make_many(api, f"{unique} stays", 60)
        try:
            for limit in (1, 7, 1000):
                seen = api.movies(f"/api/movies?title={unique}&limit={limit}")
                assert [movie for movie in seen if movie["title"].endswith("stays")] == stay
        finally:
            is_over.set()
            changing.result()
            delete(api, stay + come_and_go)
