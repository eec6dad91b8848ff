from __future__ import annotations

import uuid

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem

ALLOWED = {
    "/api/movies": {"GET", "POST", "DELETE"},
    "/api/movies/1": {"GET", "PUT", "DELETE"},
    "/api/billing": {"POST"},
    f"/api/billing/{uuid.UUID(int=1)}": {"GET"},
    "/health/live": {"GET"},
    "/health/ready": {"GET"},
    "/openapi.json": {"GET"},
    "/docs": {"GET"},
    "/": {"GET"},
}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"}
# What a server may offer everywhere.
ALWAYS = {"HEAD", "OPTIONS"}

REFUSED = [(method, path) for path, allowed in ALLOWED.items() for method in sorted(METHODS - allowed)]


def methods(allow: str) -> set[str]:
    return {method.strip() for method in allow.split(",")}


@pytest.mark.parametrize(("method", "path"), REFUSED, ids=[f"{m} {p}" for m, p in REFUSED])
def test_a_wrong_method_is_refused_and_the_right_ones_are_named(api: Api, method: str, path: str) -> None:
    response = api.call(method, path)
    assert_problem(response, 405)
    assert methods(response.headers["Allow"]) - ALWAYS == ALLOWED[path]


@pytest.mark.parametrize("path", ALLOWED)
def test_options_names_the_methods(api: Api, path: str) -> None:
    response = api.call("OPTIONS", path)
    assert response.status_code in {200, 204}
    assert methods(response.headers["Allow"]) - ALWAYS == ALLOWED[path]
    assert response.content == b""
    assert "Content-Type" not in response.headers, "nothing has no type"


@pytest.mark.parametrize(
    "path", [path for path, allowed in ALLOWED.items() if "GET" in allowed and "1" not in path]
)
def test_head_answers_as_get_does_but_without_a_body(api: Api, path: str) -> None:
    get, head = api.get(path), api.call("HEAD", path)
    assert head.status_code == get.status_code
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.content == b""


def test_head_tells_the_true_length_or_none(api: Api, new_movie: NewMovie, unique: str) -> None:
    path = f"/api/movies/{new_movie(unique)['id']}"
    for route in (path, "/api/movies?title=" + unique, "/openapi.json", "/health/live"):
        get, head = api.get(route), api.call("HEAD", route)
        assert head.status_code == 200
        assert head.headers.get("Content-Length") in {None, str(len(get.content))}, route


def test_head_of_what_is_not_there_is_404(api: Api) -> None:
    for path in ("/api/movies/0", f"/api/billing/{uuid.UUID(int=1)}", "/nowhere"):
        response = api.call("HEAD", path)
        assert response.status_code == 404
        assert response.content == b""
