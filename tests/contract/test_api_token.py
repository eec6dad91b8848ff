"""API_TOKEN of `.env`: without it all is open, with it whoever changes something must present it."""

from __future__ import annotations

import uuid

import pytest
from tests.api import PROBLEM, Api

ORDER = {"user_id": "token", "number_of_items": 1, "total_amount": 1}
MOVIE = {"title": "Token", "description": ""}
CHANGES = [
    ("POST", "/api/billing", ORDER),
    ("POST", "/api/movies", MOVIE),
    ("PUT", "/api/movies/9223372036854775807", MOVIE),
    ("DELETE", "/api/movies/9223372036854775807", None),
    ("PATCH", "/api/movies", MOVIE),
]


@pytest.fixture(scope="module")
def token(env: dict[str, str]) -> str:
    """The installation's token."""
    if "API_TOKEN" not in env:
        pytest.skip("this platform asks for no token: API_TOKEN is not in its .env")
    return env["API_TOKEN"]


@pytest.fixture
def stranger(platform_url: str) -> Api:
    """A client that has no token."""
    return Api(platform_url)


def test_without_a_token_in_env_all_may_change_something(env: dict[str, str], stranger: Api) -> None:
    if "API_TOKEN" in env:
        pytest.skip("this platform asks for a token")
    for headers in ({}, {"Authorization": "Bearer of-something-else"}):
        assert stranger.post("/api/billing", ORDER, headers=headers).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("authorization", [None, "Bearer not-the-right-one", "Basic {token}", "{token}"])
def test_whoever_changes_something_must_present_the_token(
    stranger: Api, token: str, method: str, path: str, body: object, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.format(token=token)}
    answer = stranger.call(method, path, json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == PROBLEM
    assert "API_TOKEN" in answer.json()["detail"]


def test_with_the_token_everything_works(stranger: Api, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    made = stranger.post("/api/movies", MOVIE, headers=headers)
    assert made.status_code == 200
    path = made.headers["Location"]
    assert stranger.put(path, {"title": "Token 2"}, headers=headers).json()["title"] == "Token 2"
    assert stranger.delete(path, headers=headers).json() == {"deleted": 1}
    order = stranger.post("/api/billing", ORDER, headers=headers)
    assert order.status_code == 200


@pytest.mark.usefixtures("token")
def test_reading_stays_open(stranger: Api) -> None:
    for path in ("/api/movies?limit=1", "/health/ready", "/openapi.json", "/docs"):
        assert stranger.get(path).status_code == 200
    assert stranger.get(f"/api/billing/{uuid.uuid4()}").status_code == 404
    assert stranger.call("HEAD", "/api/movies?limit=1").status_code == 200
    assert stranger.call("OPTIONS", "/api/movies").status_code == 200
