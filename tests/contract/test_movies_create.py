from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem

# Each is one character in Unicode, and one to four bytes in UTF-8.
CHARACTERS = ["a", "é", "字", "🎬"]

pytestmark = pytest.mark.usefixtures("forget_movies")


def test_a_new_movie_comes_back_with_its_id_and_its_location(api: Api, unique: str) -> None:
    response = api.post("/api/movies", {"title": unique, "description": "Red or blue."})
    assert response.status_code == 200
    movie = response.json()
    assert movie == {"id": movie["id"], "title": unique, "description": "Red or blue."}
    assert isinstance(movie["id"], int)
    assert response.headers["Location"] == f"/api/movies/{movie['id']}"
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    assert api.get(response.headers["Location"]).json() == movie


def test_ids_ascend_and_titles_may_be_the_same(new_movie: NewMovie, unique: str) -> None:
    ids = [new_movie(unique)["id"] for _ in range(3)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_title_may_have_255_characters(api: Api, new_movie: NewMovie, unique: str, character: str) -> None:
    title = unique + character * (255 - len(unique))
    movie = new_movie(title)
    assert api.get(f"/api/movies/{movie['id']}").json()["title"] == title


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_title_of_256_characters_is_refused(api: Api, unique: str, character: str) -> None:
    body = {"title": unique + character * (256 - len(unique)), "description": ""}
    assert_problem(api.post("/api/movies", body), 400, "title")


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_description_may_have_10000_characters(
    api: Api, new_movie: NewMovie, unique: str, character: str
) -> None:
    movie = new_movie(unique, character * 10_000)
    assert api.get(f"/api/movies/{movie['id']}").json()["description"] == character * 10_000


def test_a_description_of_10001_characters_is_refused(api: Api, unique: str) -> None:
    body = {"title": unique, "description": "a" * 10_001}
    assert_problem(api.post("/api/movies", body), 400, "description")


@pytest.mark.parametrize("rest", [{"description": ""}, {}], ids=["empty", "left out"])
def test_a_description_may_be_empty(api: Api, unique: str, rest: dict[str, str]) -> None:
    response = api.post("/api/movies", {"title": unique, **rest})
    assert response.status_code == 200, response.text
    assert response.json()["description"] == ""


@pytest.mark.parametrize(
    "text",
    [
        '"quoted" \\ back\\slash',
        "<b>&amp;</b>",
        "two\nlines\tand a tab",
        "'; DROP TABLE movies; --",
        "%s {0}",
    ],
)
def test_text_comes_back_as_it_was_sent(api: Api, new_movie: NewMovie, unique: str, text: str) -> None:
    movie = new_movie(f"{unique} {text}", text)
    assert api.get(f"/api/movies/{movie['id']}").json() == {
        "id": movie["id"],
        "title": f"{unique} {text}",
        "description": text,
    }


@pytest.mark.parametrize("title", ["", " ", "   ", "\t\n", "\u00a0", "\u3000"])
def test_a_blank_title_is_refused(api: Api, title: str) -> None:
    response = api.post("/api/movies", {"title": title, "description": "blank"})
    if response.status_code == 200:
        api.delete(f"/api/movies/{response.json()['id']}")
    assert_problem(response, 400, "title")


@pytest.mark.parametrize("value", [1, 1.5, True, None, [], {}, ["a"]])
@pytest.mark.parametrize("field", ["title", "description"])
def test_a_field_that_is_no_text_is_refused(api: Api, unique: str, field: str, value: Any) -> None:
    body = {"title": unique, "description": unique} | {field: value}
    assert_problem(api.post("/api/movies", body), 400, field)


@pytest.mark.parametrize("number", ["9" * 5000, "1e99999999999999999999", "1e-99999999999999999999"])
@pytest.mark.parametrize("field", ["title", "description"])
def test_a_number_beyond_every_type_is_refused_with_the_name_of_its_field(
    api: Api, unique: str, field: str, number: str
) -> None:
    body = json.dumps({"title": unique, "description": unique} | {field: 7}).replace("7}", number + "}")
    body = body.replace(": 7,", f": {number},")
    assert_problem(api.send_text("POST", "/api/movies", body), 400, field)


def test_a_missing_title_is_refused(api: Api) -> None:
    assert_problem(api.post("/api/movies", {"description": "no title"}), 400, "title")


@pytest.mark.parametrize("field", ["id", "no_field", "Title", "__class__", ""])
def test_an_unknown_field_is_refused(api: Api, unique: str, field: str) -> None:
    body = {"title": unique, "description": "", field: 1}
    assert_problem(api.post("/api/movies", body), 400, field)


@pytest.mark.parametrize("field", ["title", "description"])
@pytest.mark.parametrize(
    "escape", ["\\u0000", "\\ud800", "\\udfff", "\\udc00\\ud800"], ids=["NUL", "high", "low", "swapped"]
)
def test_a_nul_or_a_lone_surrogate_is_refused(api: Api, unique: str, field: str, escape: str) -> None:
    body = json.dumps({"title": unique, "description": unique} | {field: unique + "@"}).replace("@", escape)
    assert_problem(api.send_text("POST", "/api/movies", body), 400, field)


def test_a_pair_of_surrogates_is_one_character(api: Api, unique: str) -> None:
    response = api.send_text(
        "POST", "/api/movies", f'{{"title": "{unique} \\ud83c\\udfac", "description": ""}}'
    )
    assert response.status_code == 200
    assert response.json()["title"] == f"{unique} 🎬"


def test_nothing_is_stored_of_a_movie_that_is_refused(api: Api, unique: str) -> None:
    assert_problem(api.post("/api/movies", {"title": unique, "description": 1}), 400)
    assert api.get("/api/movies", params={"title": unique}).json() == {"movies": []}
