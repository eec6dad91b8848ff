from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from tests.contract.conftest import NewMovie
from tests.library.api import Api, assert_problem
from tests.library.raw import RawConnection, exchange

LARGEST = 128 * 1024

ORDER = b'{"user_id": "bodies", "number_of_items": 1, "total_amount": 1}'

# A server that does not read all of a body closes the connection: the next test needs another.
JSON_AND_CLOSE = {"Content-Type": "application/json", "Connection": "close"}
Route = tuple[str, str]


@pytest.fixture(params=["POST /api/movies", "PUT /api/movies/ID", "POST /api/billing"])
def route(request: pytest.FixtureRequest, new_movie: NewMovie, unique: str) -> Route:
    """Each method and path that takes a body."""
    method, path = request.param.split(" ")
    return method, path.replace("ID", str(new_movie(unique)["id"])) if path.endswith("ID") else path


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/xml",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(
    api: Api, route: Route, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = api.call(*route, data=b'{"title": "a", "description": "b"}', headers=headers)
    assert_problem(response, 415, "application/json")


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x-unheard-of"])
def test_a_body_that_is_declared_as_compressed_is_refused(api: Api, route: Route, coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    response = api.call(*route, data=gzip.compress(b"{}"), headers=headers)
    assert_problem(response, 415, f"Content-Encoding: {coding}")
    assert response.headers["Accept-Encoding"] == "identity"


def test_the_coding_that_is_none_is_taken(api: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    assert api.call("POST", "/api/billing", data=ORDER, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "APPLICATION/JSON",
    ],
)
def test_json_is_taken_however_it_is_declared(api: Api, content_type: str) -> None:
    response = api.call("POST", "/api/billing", data=ORDER, headers={"Content-Type": content_type})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b"{'title': 'a'}",
        b'{"title": "a",}',
        b'{"title": "a"} trailing',
        b'{"title": NaN}',
        b'{"title": Infinity}',
        b'"\xff\xfe"',
        b'{"title": "\xed\xa0\x80"}',
        b'{"title": "a\nb"}',
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"title": "a", "title": "b"}',
        b'{"number_of_items": ' + b"9" * 10_000 + b"}",
        gzip.compress(b"{}"),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_refused(api: Api, route: Route, body: bytes) -> None:
    assert_problem(api.send_text(*route, body), 400)


@pytest.mark.parametrize("body", ["[]", "null", "true", "1", '"text"', '[{"title": "a"}]'])
def test_json_that_is_no_object_is_refused(api: Api, route: Route, body: str) -> None:
    assert_problem(api.send_text(*route, body), 400)


@pytest.mark.parametrize("size", [LARGEST + 1, 6 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_of_more_than_128_kib_is_refused_and_the_client_sees_it(
    api: Api, route: Route, size: int, chunked: bool
) -> None:
    parts = [b'"', *[b"a" * (size // 16)] * 16, b'"']
    body = iter(parts) if chunked else b"".join(parts)
    assert_problem(api.call(*route, data=body, headers=JSON_AND_CLOSE), 413, f"{LARGEST:,} bytes")


def test_a_body_of_128_kib_is_read(api: Api, route: Route) -> None:
    response = api.send_text(*route, b'"' + b"a" * (LARGEST - 2) + b'"')
    assert_problem(response, 400)


def test_a_body_that_is_announced_as_huge_is_refused_before_it_comes(platform_url: str, route: Route) -> None:
    answer = exchange(
        platform_url,
        f"{route[0]} {route[1]} HTTP/1.1",
        "Content-Type: application/json",
        f"Content-Length: {10**12}",
        body=b"{",
    )
    assert answer is not None
    assert answer.status == 413


def test_a_chunked_order_is_not_cut_off_at_128_kib(api: Api) -> None:
    body = iter([ORDER, b" " * LARGEST])
    response = api.call("POST", "/api/billing", data=body, headers=JSON_AND_CLOSE)
    assert_problem(response, 413)


def test_a_chunked_body_is_a_body(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (ORDER[index : index + 7] for index in range(0, len(ORDER), 7))

    response = api.call("POST", "/api/billing", data=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text


def test_a_chunked_movie_reaches_the_catalogue(api: Api, unique: str) -> None:
    body = iter([b'{"title": "', unique.encode(), b'", "description": "chunked"}'])
    response = api.call("POST", "/api/movies", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    assert response.json()["title"] == unique
    assert api.delete(f"/api/movies/{response.json()['id']}").status_code == 200


def test_a_client_that_expects_100_continue_gets_its_answer(platform_url: str) -> None:
    with RawConnection(platform_url) as connection:
        connection.send(
            "POST /api/billing HTTP/1.1",
            "Content-Type: application/json",
            f"Content-Length: {len(ORDER)}",
            "Expect: 100-continue",
        )
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            received = connection.socket.recv(1)
            assert received, "the connection was closed"
            interim += received
        assert interim.startswith(b"HTTP/1.1 100 ")
        connection.socket.sendall(ORDER)
        answer = connection.answer("POST")
    assert answer is not None
    assert answer.status == 200
