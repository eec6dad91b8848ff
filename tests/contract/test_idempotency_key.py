from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from tests.library.api import Api, assert_problem


def order(user_id: str = "20", items: int = 1) -> dict[str, Any]:
    return {"user_id": user_id, "number_of_items": items, "total_amount": "12.50"}


def test_the_same_user_key_and_body_are_one_order(api: Api, unique: str) -> None:
    assert len({api.order(order(), unique) for _ in range(5)}) == 1


def test_an_order_may_be_sent_again_after_it_is_stored(api: Api, unique: str) -> None:
    order_id = api.order(order(), unique)
    stored = api.stored_order(order_id)
    assert api.order(order(), unique) == order_id
    assert api.get(f"/api/billing/{order_id}").json() == stored


@pytest.mark.parametrize(
    "text",
    [
        '{"total_amount": "12.50", "number_of_items": 1, "user_id": "20"}',
        '{"user_id": 20, "number_of_items": "1", "total_amount": 12.5}',
        '{ "user_id":"\\u0032\\u0030","number_of_items":1.0,"total_amount":"1250e-2", "film_id": null }',
    ],
    ids=["another order of the fields", "numbers and texts", "another spelling"],
)
def test_the_same_order_written_in_another_way_is_the_same_body(api: Api, unique: str, text: str) -> None:
    order_id = api.order(order(), unique)
    response = api.call(
        "POST",
        "/api/billing",
        data=text,
        headers={"Content-Type": "application/json", "Idempotency-Key": unique},
    )
    assert response.status_code == 200, response.text
    assert response.json()["order_id"] == order_id


@pytest.mark.parametrize(
    "other",
    [{"total_amount": "12.51"}, {"number_of_items": 2}, {"film_id": 1}],
    ids=lambda other: next(iter(other)),
)
def test_the_same_key_with_a_difference_in_any_field_is_refused(
    api: Api, unique: str, other: dict[str, Any]
) -> None:
    order_id = api.order(order(), unique)
    response = api.post("/api/billing", order() | other, headers={"Idempotency-Key": unique})
    assert_problem(response, 422, "Idempotency-Key")
    assert api.stored_order(order_id)["number_of_items"] == 1
    assert api.order(order(), unique) == order_id


def test_two_users_with_one_key_have_two_orders(api: Api, unique: str) -> None:
    first, second = api.order(order("ada"), unique), api.order(order("bob"), unique)
    assert first != second
    assert api.stored_order(first)["user_id"] == "ada"
    assert api.stored_order(second)["user_id"] == "bob"


def test_where_user_ends_and_key_begins_makes_a_difference(api: Api, unique: str) -> None:
    assert api.order(order("ab"), f"c{unique}") != api.order(order("a"), f"bc{unique}")


def test_two_keys_are_two_orders(api: Api, unique: str) -> None:
    assert api.order(order(), unique) != api.order(order(), f"{unique}-other")


def test_upper_and_lower_case_keys_are_two_keys(api: Api, unique: str) -> None:
    assert api.order(order(), f"{unique}-a") != api.order(order(), f"{unique}-A")


def test_a_film_order_may_have_a_key_too(api: Api, unique: str) -> None:
    body = {"film_id": 1, "user_id": "user123"}
    assert api.order(body, unique) == api.order(body, unique)


def test_the_key_counts_with_and_without_a_trailing_slash(api: Api, unique: str) -> None:
    answers = [
        api.post(path, order(), headers={"Idempotency-Key": unique}).json()["order_id"]
        for path in ("/api/billing", "/api/billing/")
    ]
    assert len(set(answers)) == 1


def test_a_refused_order_does_not_use_up_its_key(api: Api, unique: str) -> None:
    response = api.post("/api/billing", order(items=0), headers={"Idempotency-Key": unique})
    assert_problem(response, 400, "number_of_items")
    assert api.stored_order(api.order(order(items=1), unique))["number_of_items"] == 1


@pytest.mark.parametrize("length", [33, 255])
def test_a_key_may_have_255_characters(api: Api, unique: str, length: int) -> None:
    key = unique + "~" * (length - len(unique))
    assert api.order(order(), key) == api.order(order(), key)


def test_a_key_may_have_any_printable_character(api: Api, unique: str) -> None:
    key = unique + "".join(map(chr, range(0x21, 0x7F)))
    assert api.order(order(), key) == api.order(order(), key)


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb", "\u00ff"], ids=["empty", "256", "tab", "latin-1"])
def test_an_unfit_key_is_refused(api: Api, key: str) -> None:
    response = api.post("/api/billing", order(), headers={"Idempotency-Key": key.encode("latin-1")})
    assert_problem(response, 400, "Idempotency-Key")


def test_fifty_equal_requests_at_the_same_moment_are_one_order(api: Api, unique: str) -> None:
    start = Barrier(50)

    def post(_: int) -> str:
        start.wait()
        return api.order(order(items=50), unique)

    with ThreadPoolExecutor(50) as pool:
        ids = set(pool.map(post, range(50)))
    assert len(ids) == 1
    assert api.stored_order(ids.pop())["number_of_items"] == 50


def test_of_two_bodies_that_race_for_a_key_one_wins(api: Api, unique: str) -> None:
    start = Barrier(40)

    def post(items: int) -> tuple[int, int, str | None]:
        start.wait()
        response = api.post("/api/billing", order(items=items), headers={"Idempotency-Key": unique})
        if response.status_code != 200:
            assert_problem(response, 422)
        return items, response.status_code, response.json().get("order_id")

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(post, [1, 2] * 20))
    winners = {(items, order_id) for items, status, order_id in answers if status == 200}
    assert len(winners) == 1
    assert sum(status == 422 for _, status, _ in answers) == 20
    items, order_id = winners.pop()
    assert order_id is not None
    assert api.stored_order(order_id)["number_of_items"] == items
