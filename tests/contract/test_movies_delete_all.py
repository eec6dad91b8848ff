from __future__ import annotations

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api


@pytest.mark.destructive
def test_deleting_the_catalogue_tells_how_many_there_were(api: Api, new_movie: NewMovie, unique: str) -> None:
    for _ in range(3):
        new_movie(unique)
    number = len(api.movies())
    response = api.delete("/api/movies")
    assert response.status_code == 200
    assert response.json() == {"deleted": number}
    assert api.get("/api/movies").json() == {"movies": []}
    assert api.delete("/api/movies").json() == {"deleted": 0}


@pytest.mark.destructive
def test_a_deleted_id_is_not_given_to_another_movie(api: Api, new_movie: NewMovie, unique: str) -> None:
    old = new_movie(unique)
    api.delete("/api/movies")
    assert new_movie(unique)["id"] > old["id"]
