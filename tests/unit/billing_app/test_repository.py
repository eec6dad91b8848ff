"""Storing orders exactly once."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from decimal import Decimal
from itertools import islice

import pytest
from pika import BasicProperties
from sqlalchemy.exc import DBAPIError
from tests.library.apps import Database
from tests.library.document_values import amounts, with_values

from billing_app.judge import judge
from billing_app.repository import IdentifiedOrder, Orders, Outcome, is_data_error
from platform_common.orders import Order, order_body, parse_order
from platform_common.validation import parse_json_object


def make(number: int = 1, **changes: object) -> IdentifiedOrder:
    content = {"user_id": f"user {number}", "number_of_items": number, "total_amount": Decimal("9.90")}
    return IdentifiedOrder(uuid.UUID(int=number), parse_order({**content, **changes}))


def test_a_stored_order_is_read_as_it_was_written(database: Database, orders: Orders) -> None:
    assert database.execute("SELECT count(*) FROM orders") == [(0,)]
    largest = make(1, user_id="é" * 255, number_of_items=2**31 - 1, total_amount=Decimal("9999999999.99"))
    film = IdentifiedOrder(uuid.UUID(int=2), parse_order({"film_id": 2**63 - 1, "user_id": "u"}))
    assert orders.store([largest, film]) == Outcome([0, 1], [], [])
    stored = orders.get(largest.order_id)
    assert stored is not None
    assert stored.is_of(largest.order)
    assert stored.as_dict()["total_amount"] == "9999999999.99"
    assert stored.as_dict()["stored_at"].endswith("Z")
    stored = orders.get(film.order_id)
    assert stored is not None
    assert stored.as_dict()["total_amount"] is None
    assert stored.is_of(film.order)
    assert orders.get(uuid.uuid4()) is None


def test_an_amount_is_stored_to_the_cent_from_the_message_to_the_table(
    database: Database, orders: Orders
) -> None:
    """A number in JSON, as a text or not, through the queue's message into the table's column."""
    batch, sent = [], []
    for amount in islice(amounts(), 0, None, 7):
        _, body = with_values("NewOrder", {"total_amount": amount})
        order = parse_order(parse_json_object(body.encode()))
        verdict = judge(order_body(order, uuid.uuid4()), BasicProperties())
        assert isinstance(verdict, IdentifiedOrder)
        batch.append(verdict)
        sent.append((str(verdict.order_id), format(Decimal(amount.strip('"')), ".2f")))
    assert len(orders.store(batch).stored) == len(batch)
    stored = database.execute("SELECT order_id::text, total_amount::text FROM orders")
    assert set(stored) == set(sent)


def test_an_order_that_is_stored_already_is_repeated_or_conflicting(
    database: Database, orders: Orders
) -> None:
    orders.store([make(1), make(2)])
    before = database.execute("SELECT * FROM orders ORDER BY order_id")
    outcome = orders.store([make(2), make(3), make(1, total_amount=Decimal(1))])
    assert outcome == Outcome(stored=[1], repeated=[0], conflicting=[2])
    assert database.execute("SELECT * FROM orders ORDER BY order_id LIMIT 2") == before


def test_repetition_and_conflict_within_one_batch_are_seen(database: Database, orders: Orders) -> None:
    outcome = orders.store([make(1), make(1), make(1, number_of_items=5), make(2)])
    assert outcome == Outcome(stored=[0, 3], repeated=[1], conflicting=[2])
    assert database.execute("SELECT number_of_items FROM orders ORDER BY 1") == [(1,), (2,)]


def test_one_refused_value_leaves_nothing_of_the_batch(database: Database, orders: Orders) -> None:
    too_long = make(2)
    impossible = replace(
        too_long, order=Order.model_construct(**{**dict(too_long.order), "number_of_items": 2**31})
    )
    with pytest.raises(DBAPIError) as error:
        orders.store([make(1), impossible, make(3)])
    assert is_data_error(error.value)
    assert database.execute("SELECT count(*) FROM orders") == [(0,)]


def test_what_ails_the_database_is_no_data_error(database: Database, orders: Orders) -> None:
    database.execute("ALTER TABLE orders RENAME TO orders_of_old")
    try:
        with pytest.raises(DBAPIError) as error:
            orders.store([make(1)])
    finally:
        database.execute("ALTER TABLE orders_of_old RENAME TO orders")
    assert not is_data_error(error.value)


def test_two_that_store_the_same_orders_at_once_store_each_once(database: Database, orders: Orders) -> None:
    batch = [make(number) for number in range(1, 201)]
    outcomes: list[Outcome] = []
    barrier = threading.Barrier(2)

    def store(mine: list[IdentifiedOrder]) -> None:
        barrier.wait()
        outcomes.append(orders.store(mine))

    threads = [threading.Thread(target=store, args=(mine,)) for mine in (batch, batch[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(outcome.stored) for outcome in outcomes) == 200
    assert sum(len(outcome.repeated) for outcome in outcomes) == 200
    assert database.execute("SELECT count(*) FROM orders") == [(200,)]
