"""API_TOKEN of `.env` arrives at the gateway; more of it: tests/unit/api_gateway_app/test_token.py."""

from __future__ import annotations

import pytest
from tests.library.api import Api, assert_problem

ORDER = {"user_id": "token", "number_of_items": 1, "total_amount": 1}
MOVIE = {"title": "Token", "description": ""}


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


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/billing"), ("DELETE", "/api/movies/0")])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer of-something-else"}], ids=["none", "wrong"]
)
def test_whoever_changes_something_must_present_the_token(
    stranger: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = stranger.call(method, path, json=ORDER, headers=headers)
    assert_problem(answer, 401, "API_TOKEN")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_with_the_token_everything_works(stranger: Api, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    made = stranger.post("/api/movies", MOVIE, headers=headers)
    assert made.status_code == 200
    path = made.headers["Location"]
    assert stranger.put(path, {"title": "Token 2"}, headers=headers).json()["title"] == "Token 2"
    assert stranger.delete(path, headers=headers).json() == {"deleted": 1}
    order = stranger.post("/api/billing", ORDER, headers=headers)
    assert order.status_code == 200
