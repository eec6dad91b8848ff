"""What the tests of the public API share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.library.api import Api

Movie = dict[str, Any]
NewMovie = Callable[..., Movie]


@pytest.fixture
def unique() -> str:
    """A text that nobody else has used."""
    return uuid.uuid4().hex


@pytest.fixture
def new_movie(api: Api) -> Iterator[NewMovie]:
    """Makes movies that are gone after the test."""
    ids: list[int] = []

    def make(title: str, description: str = "") -> Movie:
        response = api.post("/api/movies", {"title": title, "description": description})
        assert response.status_code == 200, response.text
        movie: Movie = response.json()
        ids.append(movie["id"])
        return movie

    yield make
    for movie_id in ids:
        assert api.delete(f"/api/movies/{movie_id}").status_code in {200, 404}


@pytest.fixture
def forget_movies(api: Api, unique: str) -> Iterator[None]:
    """Deletes the movies whose title contains `unique`, also those that a failed test made by mistake."""
    yield
    for movie in api.get("/api/movies", params={"title": unique}).json()["movies"]:
        api.delete(f"/api/movies/{movie['id']}")
