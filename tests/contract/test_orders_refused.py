from __future__ import annotations

from typing import Any

import pytest
from tests.library.api import Api, assert_problem

GOOD = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
FILM = {"user_id": "user123", "film_id": 1}

# As they stand in the JSON text.
WRONG = {
    "user_id": [
        "9" * 256, "9" * 5000, "1e255", "1e99999999999999999999",
        '""', f'"{"a" * 256}"', "null", "true", "1.5", "[]", "{}", '["20"]', '"a\\u0000b"', '"\\ud800"',
    ],
    "number_of_items": [
        "0", "-1", "2147483648", "1.5", "true", "null", "[]", "1e400", "9" * 400, "9" * 5000,
        "1e99999999999999999999",
        '" 1"', '"1 "', '"+1"',
        '"0"', '"-1"', '"2147483648"', '"1.5"', '"abc"', '""', '" "', '"0x1"', '"1_0"', '"NaN"',
        '"\\u0663"', '"\\u00b2"', '"1\\u0000"',
    ],
    "total_amount": [
        "-1", "-0.01", "10000000000", "0.001", "1.234", "true", "[]", "{}", "1e400", "1e-400", "9" * 400,
        "9" * 5000, "1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999",
        "1." + "0" * 5000, '"1e99999999999999999999"',
        '"-1"', '"10000000000"', '"0.001"', '"abc"', '""', '" "', '"1,5"', '"1_0"', '"0x1"',
        '"NaN"', '"sNaN"', '"Infinity"', '"-Infinity"', '"\\u0663"', '"1.5\\u0000"',
    ],
}  # fmt: skip
CASES = [(field, value) for field, values in WRONG.items() for value in values]


def with_field(field: str, value: str) -> str:
    members = {name: f'"{text}"' for name, text in GOOD.items()} | {field: value}
    return "{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}"


@pytest.mark.parametrize(("field", "value"), CASES, ids=[f"{f}={v[:30]}({len(v)})" for f, v in CASES])
def test_a_wrong_value_is_refused_with_the_name_of_its_field(api: Api, field: str, value: str) -> None:
    assert_problem(api.send_text("POST", "/api/billing", with_field(field, value)), 400, field)


@pytest.mark.parametrize("value", [-1, 0, 1.5, True, "abc", "", [], 2**63, "1.5"])
def test_a_wrong_film_is_refused(api: Api, value: Any) -> None:
    assert_problem(api.post("/api/billing", FILM | {"film_id": value}), 400, "film_id")


@pytest.mark.parametrize("field", GOOD)
def test_only_the_field_that_is_wrong_is_named(api: Api, field: str) -> None:
    problem = assert_problem(api.send_text("POST", "/api/billing", with_field(field, "[]")), 400, field)
    assert {error["field"] for error in problem["errors"]} == {field}


def test_of_a_wrong_film_only_the_film_is_named(api: Api) -> None:
    problem = assert_problem(api.post("/api/billing", FILM | {"film_id": "abc"}), 400, "film_id")
    assert {error["field"] for error in problem["errors"]} == {"film_id"}


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(api: Api, field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}
    assert_problem(api.post("/api/billing", body), 400, field)


def test_a_film_without_a_user_is_refused(api: Api) -> None:
    assert_problem(api.post("/api/billing", {"film_id": 1}), 400, "user_id")


def test_an_empty_order_is_refused(api: Api) -> None:
    assert_problem(api.post("/api/billing", {}), 400, "user_id")


@pytest.mark.parametrize("field", ["order_id", "stored_at", "price", "User_ID", "__proto__", ""])
@pytest.mark.parametrize("body", [GOOD, FILM], ids=["items", "film"])
def test_an_unknown_field_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    assert_problem(api.post("/api/billing", body | {field: "1"}), 400, field)


def test_every_wrong_field_is_named_at_once(api: Api) -> None:
    body = {"user_id": "", "number_of_items": 0, "total_amount": -1}
    assert_problem(api.post("/api/billing", body), 400, "user_id", "number_of_items", "total_amount")
