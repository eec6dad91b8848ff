from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.library.api import Api

ANSWERS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/api/movies?limit=1", {}, 200),
    ("GET", "/api/movies?limit=0", {}, 400),
    ("GET", "/api/movies/0", {}, 404),
    ("PATCH", "/api/movies", {}, 405),
    ("POST", "/api/movies", {"data": b"x"}, 415),
    ("POST", "/api/billing", {"json": {}}, 400),
    ("POST", "/api/billing", {"json": {"user_id": "ids", "film_id": 1}}, 200),
    ("GET", f"/api/billing/{uuid.UUID(int=1)}", {}, 404),
    ("GET", "/health/live", {}, 200),
    ("GET", "/health/ready", {}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/docs", {}, 200),
    ("GET", "/nowhere", {}, 404),
]
every_answer = pytest.mark.parametrize(
    ("method", "path", "arguments", "status"), ANSWERS, ids=[f"{m} {p} {s}" for m, p, _, s in ANSWERS]
)


@every_answer
def test_the_request_id_comes_back(
    api: Api, method: str, path: str, arguments: dict[str, Any], status: int
) -> None:
    request_id = f"test-{uuid.uuid4()}"
    response = api.call(method, path, headers={"X-Request-ID": request_id}, **arguments)
    assert response.status_code == status
    assert response.headers["X-Request-ID"] == request_id


@every_answer
def test_a_missing_request_id_is_made(
    api: Api, method: str, path: str, arguments: dict[str, Any], status: int
) -> None:
    ids = set()
    for _ in range(2):
        response = api.call(method, path, **arguments)
        assert response.status_code == status
        assert "," not in response.headers["X-Request-ID"], "there is one, not one of each hop"
        ids.add(response.headers["X-Request-ID"])
    assert len(ids) == 2


@pytest.mark.parametrize("request_id", ["", "a" * 129, "é", "a\tb"], ids=repr)
@pytest.mark.parametrize("path", ["/health/live", "/api/movies?limit=1"])
def test_an_unfit_request_id_is_replaced(api: Api, path: str, request_id: str) -> None:
    response = api.get(path, headers={"X-Request-ID": request_id.encode()})
    assert response.status_code == 200
    made = response.headers["X-Request-ID"]
    assert made.strip()
    assert made != request_id
    assert made.isascii()


@pytest.mark.parametrize("request_id", ["a" * 128, "!~"])
@pytest.mark.parametrize("path", ["/health/live", "/api/movies?limit=1"])
def test_a_request_id_may_have_128_printable_characters(api: Api, path: str, request_id: str) -> None:
    assert api.get(path, headers={"X-Request-ID": request_id}).headers["X-Request-ID"] == request_id
