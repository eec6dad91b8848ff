"""How JSON is written and declared."""

from __future__ import annotations

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem
from tests.library.raw import exchange

ORDER = '{"user_id": "json", "film_id": 1}'


@pytest.mark.parametrize(
    "content_type", ["application/merge-patch+json", "application/vnd.api+json", "application/json; x=y"]
)
def test_every_kind_of_json_is_json(api: Api, content_type: str) -> None:
    response = api.call("POST", "/api/billing", data=ORDER, headers={"Content-Type": content_type})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense"])
@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
def test_another_charset_is_refused(api: Api, path: str, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    assert_problem(api.call("POST", path, data=ORDER, headers=headers), 415, "UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
def test_json_in_another_encoding_is_refused(api: Api, path: str, encoding: str) -> None:
    assert_problem(api.send_text("POST", path, ORDER.encode(encoding)), 400)


def test_white_space_around_the_document_does_not_count(api: Api) -> None:
    assert api.send_text("POST", "/api/billing", f"\r\n\t {ORDER} \n").status_code == 200


@pytest.mark.parametrize("accept", ["application/xml", "text/html", "*/*;q=0", "nonsense"])
def test_the_answer_is_json_whatever_the_client_would_rather_have(api: Api, accept: str) -> None:
    response = api.get("/api/movies?limit=1", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == "application/json"


def test_a_body_that_comes_with_get_or_delete_changes_nothing(
    api: Api, new_movie: NewMovie, unique: str
) -> None:
    movie = new_movie(unique)
    path = f"/api/movies/{movie['id']}"
    assert api.call("GET", path, json={"title": "other"}).json() == movie
    assert api.call("DELETE", path, data=b"not json").json() == {"deleted": 1}


@pytest.mark.destructive
@pytest.mark.parametrize("query", ["title=a", "limit=1", "x", "="])
def test_deleting_a_part_of_the_catalogue_is_refused_and_deletes_nothing(
    api: Api, new_movie: NewMovie, unique: str, query: str
) -> None:
    movie = new_movie(unique)
    assert_problem(api.delete(f"/api/movies?{query}"), 400, query.partition("=")[0])
    assert api.get(f"/api/movies/{movie['id']}").json() == movie


def test_two_keys_in_one_request_are_one_key(api: Api, unique: str) -> None:
    answer = exchange(
        api.url,
        "POST /api/billing HTTP/1.1",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(ORDER)}",
        f"Idempotency-Key: {unique}-a",
        f"Idempotency-Key: {unique}-b",
        body=ORDER.encode(),
    )
    assert answer is not None
    assert answer.status == 200
    for key in (f"{unique}-a", f"{unique}-b"):
        assert api.order({"user_id": "json", "film_id": 1}, key) not in answer.body.decode()


@pytest.mark.parametrize("path", ["/api/movies", "/api/billing"])
@pytest.mark.parametrize(
    "fields", [{"a" * 120_000: 1}, {f"field-{number}": 1 for number in range(7_000)}], ids=["long", "many"]
)
def test_the_answer_to_a_very_wrong_body_is_short(api: Api, path: str, fields: dict[str, int]) -> None:
    response = api.post(path, fields)
    assert_problem(response, 400, "is an unknown field")
    assert len(response.content) < 10_000
