from __future__ import annotations

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem

ORDER = {"user_id": "slashes", "number_of_items": 1, "total_amount": 1}


@pytest.mark.parametrize("path", ["/health/live", "/openapi.json", "/docs", "/api/movies?title=a&limit=1"])
def test_a_page_is_the_same_with_a_trailing_slash(api: Api, path: str) -> None:
    route, _, query = path.partition("?")
    without, with_slash = api.get(path), api.get(f"{route}/" + (f"?{query}" if query else ""))
    assert without.status_code == with_slash.status_code == 200
    assert without.content == with_slash.content


def test_readiness_is_the_same_with_a_trailing_slash(api: Api) -> None:
    without, with_slash = api.get("/health/ready"), api.get("/health/ready/")
    assert without.status_code == with_slash.status_code == 200
    assert without.json().keys() == with_slash.json().keys()


def test_the_catalogue_takes_a_trailing_slash_for_every_method(api: Api, unique: str) -> None:
    made = api.post("/api/movies/", {"title": unique, "description": ""})
    assert made.status_code == 200
    path = f"/api/movies/{made.json()['id']}"
    assert made.headers["Location"] == path
    assert api.get(f"{path}/").json() == made.json()
    assert api.put(f"{path}/", {"description": "new"}).json()["description"] == "new"
    assert api.get("/api/movies/", params={"title": unique}).json() == {"movies": [api.get(path).json()]}
    assert api.delete(f"{path}/").json() == {"deleted": 1}
    assert_problem(api.get(path), 404)


def test_orders_take_a_trailing_slash_for_every_method(api: Api) -> None:
    made = api.post("/api/billing/", ORDER)
    assert made.status_code == 200
    order_id = made.json()["order_id"]
    assert api.stored_order(order_id) == api.get(f"/api/billing/{order_id}/").json()


def test_the_next_page_of_a_list_with_a_trailing_slash_is_found(
    api: Api, new_movie: NewMovie, unique: str
) -> None:
    movies = [new_movie(unique) for _ in range(2)]
    first = api.get("/api/movies/", params={"title": unique, "limit": 1}).json()
    assert api.get(first["next"]).json()["movies"] == movies[1:]
