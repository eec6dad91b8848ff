"""Which order came first under a key, as several gateways ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from tests.library.apps import Database, StartApp
from tests.library.raw import ask

from billing_app.idempotency_keys import IdempotencyKeys
from billing_app.settings import Settings
from platform_common.database import make_engine

KEY, ANOTHER_KEY = b"k" * 32, b"l" * 32
ORDER, ANOTHER_ORDER = b"o" * 32, b"p" * 32


@pytest.fixture
def keys(database: Database, app_settings: Settings) -> Iterator[IdempotencyKeys]:
    """No key yet."""
    database.execute("TRUNCATE idempotency_keys")
    engine: Engine = make_engine(app_settings.database, "test", pool_size=8)
    yield IdempotencyKeys(engine)
    engine.dispose()


def age(database: Database, minutes: int) -> None:
    """Make all keys older."""
    change = f"claimed_at = claimed_at - interval '{minutes} minutes'"
    database.execute(f"UPDATE idempotency_keys SET {change}")  # noqa: S608 (a number)


def count(database: Database) -> int:
    [(number,)] = database.execute("SELECT count(*) FROM idempotency_keys")
    return int(number)


def test_a_key_stands_for_the_order_that_came_first(keys: IdempotencyKeys) -> None:
    assert keys.claim(KEY, ORDER) == ORDER
    assert keys.claim(KEY, ANOTHER_ORDER) == ORDER
    assert keys.claim(KEY, ORDER) == ORDER
    assert keys.claim(ANOTHER_KEY, ANOTHER_ORDER) == ANOTHER_ORDER


def test_one_of_many_orders_at_the_same_moment_comes_first(keys: IdempotencyKeys, database: Database) -> None:
    orders = [bytes([number]) * 32 for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        held = set(pool.map(lambda order: keys.claim(KEY, order), orders))
    assert len(held) == 1
    assert held <= set(orders)
    assert count(database) == 1


def test_a_key_is_free_again_after_24_hours_and_not_before(keys: IdempotencyKeys, database: Database) -> None:
    keys.claim(KEY, ORDER)
    age(database, 24 * 60 - 1)
    assert keys.claim(KEY, ANOTHER_ORDER) == ORDER
    # To have asked for it again has not made it last longer.
    age(database, 2)
    assert keys.claim(KEY, ANOTHER_ORDER) == ANOTHER_ORDER
    assert keys.claim(KEY, ORDER) == ANOTHER_ORDER


def test_keys_that_have_ended_go_with_the_next_ones(keys: IdempotencyKeys, database: Database) -> None:
    for number in range(25):
        keys.claim(bytes([number]) * 32, ORDER)
    age(database, 25 * 60)
    keys.claim(KEY, ORDER)
    assert count(database) == 16
    keys.claim(KEY, ORDER)
    keys.claim(KEY, ORDER)
    assert count(database) == 1


@pytest.mark.parametrize(
    ("key", "content"),
    [("k", "ab" * 32), ("ab" * 32, "k"), ("ab" * 32, "AB" * 32), ("ab" * 32 + "%0A", "ab" * 32)],
)
def test_what_is_no_digest_is_refused(start: StartApp, key: str, content: str) -> None:
    with start() as app:
        assert ask(app.port, "PUT", f"/idempotency-keys/{key}/{content}").status == 400
