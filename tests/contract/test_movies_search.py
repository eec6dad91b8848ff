from __future__ import annotations

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem


def found(api: Api, text: str) -> list[str]:
    response = api.get("/api/movies", params={"title": text})
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"movies"}
    return [movie["title"] for movie in response.json()["movies"]]


@pytest.mark.parametrize("place", ["{} x y", "x {} y", "x y {}", "{}"])
def test_a_title_is_found_by_any_part_of_it(api: Api, new_movie: NewMovie, unique: str, place: str) -> None:
    title = new_movie(place.format(unique))["title"]
    assert found(api, unique) == [title]


def test_only_titles_are_searched(api: Api, new_movie: NewMovie, unique: str) -> None:
    new_movie("another title", unique)
    assert found(api, unique) == []


@pytest.mark.parametrize(
    ("stored", "searched"),
    [
        ("MaTrIx", "mAtRiX"),
        ("ÉCLAIR", "éclair"),
        ("жук", "ЖУК"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("straße", "STRASSE"),
    ],
)
def test_upper_and_lower_case_are_alike(
    api: Api, new_movie: NewMovie, unique: str, stored: str, searched: str
) -> None:
    title = new_movie(f"{unique} {stored}")["title"]
    assert found(api, f"{unique} {searched}") == [title]


@pytest.mark.parametrize(
    "wildcard", ["%", "_", "\\", "\\%", "%%", "*", "?", ".*", "[a-z]", "(", "'", '"', "&", "+", "#"]
)
def test_a_wildcard_stands_for_itself(api: Api, new_movie: NewMovie, unique: str, wildcard: str) -> None:
    literal = new_movie(f"{unique} {wildcard} z")["title"]
    new_movie(f"{unique} anything z")
    new_movie(f"{unique} x z")
    assert found(api, f"{unique} {wildcard} z") == [literal]


def test_spaces_count(api: Api, new_movie: NewMovie, unique: str) -> None:
    new_movie(f"{unique}-a b")
    assert found(api, f"{unique}-a  b") == []
    assert found(api, f" {unique}") == []


def test_every_title_contains_the_empty_text(api: Api, new_movie: NewMovie, unique: str) -> None:
    movie = new_movie(unique)
    assert movie in api.movies(f"/api/movies?title=&after={movie['id'] - 1}")


def test_a_nul_in_the_search_is_refused(api: Api) -> None:
    assert_problem(api.get("/api/movies?title=a%00b"), 400, "title")


@pytest.mark.parametrize("query", ["title=%FF%FE", "title=%ED%A0%80"], ids=["no UTF-8", "a surrogate"])
def test_text_that_is_no_utf_8_matches_nothing_and_breaks_nothing(api: Api, query: str) -> None:
    response = api.get(f"/api/movies?{query}")
    if response.status_code == 200:
        assert response.json() == {"movies": []}
    else:
        assert_problem(response, 400, "title")


def test_a_very_long_search_breaks_nothing(api: Api) -> None:
    response = api.get("/api/movies", params={"title": "a" * 6000})
    assert response.status_code in {200, 400, 414}
