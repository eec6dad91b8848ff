"""What openapi.yaml says of a request is what the server does with it, to the validators that people use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import jsonschema_rs
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator
from tests.library.document_values import (
    LEFT_TO_THE_SERVER,
    Body,
    amounts,
    bodies,
    bodies_left_to_the_server,
    server_takes,
    with_values,
)

from api_gateway_app.billing import _idempotency_key
from api_gateway_app.docs import load_openapi
from inventory_app.movies import _parse_id, _read_query
from platform_common.problems import Problem

DOCUMENT = load_openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


class Validator(Protocol):
    """What each of them has."""

    def is_valid(self, instance: Any, /) -> bool: ...


VALIDATORS: dict[str, Callable[[Any], Validator]] = {
    "jsonschema": Draft202012Validator,
    "openapi-schema-validator": OAS31Validator,
    "jsonschema-rs": jsonschema_rs.Draft202012Validator,
}
GetValidator = Callable[[str], Validator]


@cache
def jsonschema_for(name: str) -> Validator:
    return Draft202012Validator({"components": {"schemas": SCHEMAS}, **SCHEMAS[name]})


def is_order_or_movie(body: Body) -> bool:
    return takes(jsonschema_for, body)


@pytest.fixture(params=VALIDATORS.values(), ids=list(VALIDATORS))
def validator(request: pytest.FixtureRequest) -> GetValidator:
    """Make one library's validator for a schema of the document, by its name."""

    @cache
    def make(name: str) -> Validator:
        result: Validator = request.param({"components": {"schemas": SCHEMAS}, **SCHEMAS[name]})
        return result

    return make


def takes(validator: GetValidator, body: Body) -> bool:
    schema, text = body
    return validator(schema).is_valid(json.loads(text))


def test_every_amount_of_the_contract_is_right_by_the_document(validator: GetValidator) -> None:
    schema = validator("TotalAmount")
    assert [amount for amount in amounts() if not schema.is_valid(json.loads(amount))] == []


def test_every_amount_of_the_contract_is_taken_by_the_server() -> None:
    assert [
        amount for amount in amounts() if not server_takes(with_values("NewOrder", {"total_amount": amount}))
    ] == []


def test_document_and_server_say_the_same_of_a_body(validator: GetValidator) -> None:
    assert [body for body in bodies() if takes(validator, body) != server_takes(body)] == []


@pytest.mark.parametrize("reason", LEFT_TO_THE_SERVER)
def test_what_only_the_server_can_judge_is_no_more_than_that(reason: str) -> None:
    for body in bodies_left_to_the_server(reason):
        assert not server_takes(body), body
        assert is_order_or_movie(body), f"the document can tell: {body}"


@pytest.mark.parametrize("field", ["number_of_items", "total_amount", "film_id"])
@given(
    text=st.text("0123456789.-+eE \n", max_size=24)
    | st.from_regex(r"\A-?0{0,2}[0-9]{1,20}(\.[0-9]{1,4})?\n?\Z")
    | st.integers(-5, 2**64).map(str)
    | st.integers(2**31 - 100, 2**31 + 100).map(str)
    | st.integers(2**63 - 100, 2**63 + 100).map(str)
)
def test_document_and_server_say_the_same_of_any_text_as_a_number(field: str, text: str) -> None:
    body = with_values("NewOrder", {field: json.dumps(text)})
    if is_order_or_movie(body) and re.search("[eE]", text):
        return  # Only the server knows its value.
    assert is_order_or_movie(body) == server_takes(body)


def test_blank_is_the_same_for_document_and_server() -> None:
    pattern = re.compile(SCHEMAS["Title"]["pattern"])
    characters = map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
    assert [c for c in characters if bool(pattern.search(c)) != bool(c.strip() and c != "\0")] == []


def parameter(path: str, name: str, method: str | None = None) -> Validator:
    """Return a validator of what the document says of a parameter."""
    item = DOCUMENT["paths"][path]
    [found] = [each for each in (item[method] if method else item)["parameters"] if each.get("name") == name]
    return Draft202012Validator(found["schema"])


def server_refuses(read: Callable[[], object]) -> bool:
    try:
        read()
    except Problem:
        return True
    return False


@pytest.mark.parametrize("name", ["limit", "after"])
@pytest.mark.parametrize("number", [-1, 0, 1, 1000, 1001, 2**63 - 1, 2**63])
def test_document_and_server_say_the_same_of_a_number_in_the_query(name: str, number: int) -> None:
    with Flask(__name__).test_request_context(query_string={name: str(number)}):
        assert server_refuses(_read_query) != parameter("/api/movies", name, "get").is_valid(number)


@pytest.mark.parametrize("title", ["", " ", "a\0b", "\U0001f3ac", "%_\\", "\n"])
def test_document_and_server_say_the_same_of_a_title_in_the_query(title: str) -> None:
    with Flask(__name__).test_request_context(query_string={"title": title}):
        assert server_refuses(_read_query) != parameter("/api/movies", "title", "get").is_valid(title)


@pytest.mark.parametrize("number", [-1, 0, 1, 2**63 - 1, 2**63])
def test_document_and_server_say_the_same_of_an_id(number: int) -> None:
    described = parameter("/api/movies/{id}", "id").is_valid(number)
    assert server_refuses(lambda: _parse_id(str(number))) != described


@pytest.mark.parametrize("key", ["", " ", "   ", "a", "a b", "~" * 255, "~" * 256, "a\tb", "\xff"])
def test_document_and_server_say_the_same_of_a_key(key: str) -> None:
    # Spaces around a header's value do not belong to it, and are gone before the app sees it.
    with Flask(__name__).test_request_context(headers={"Idempotency-Key": key.strip(" ")}):
        described = parameter("/api/billing", "Idempotency-Key", "post").is_valid(key)
        assert server_refuses(_idempotency_key) != described
