from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.store import FILE_NAME, OrderStore, StoreLimits, StoreUnavailable

DAY = 24 * 60 * 60.0


def message(number: int, size: int = 100) -> OrderMessage:
    return OrderMessage(f"order-{number}", b"x" * size, "request")


def ids(store: OrderStore) -> list[str]:
    return [order.message.order_id for order in store.oldest(1_000_000)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OrderStore]:
    store = OrderStore(tmp_path)
    yield store
    store.close()


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def fill(store: OrderStore) -> int:
    """Keep orders until the store refuses one; return how many it took."""
    for kept in range(10_000):
        try:
            store.keep(message(kept, size=2000))
        except StoreUnavailable as error:
            # SQLite says the latter where its log finds no room.
            if "full" in str(error) or "disk I/O error" in str(error):
                return kept
            raise
    raise AssertionError("the store is never full")


KEEP_MANY = """
import sys
from pathlib import Path
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.store import OrderStore
store = OrderStore(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    store.keep(OrderMessage(f"{sys.argv[2]}-{number}", b"{}", "request"))
    print(number, flush=True)
sys.stdin.read()
"""


def test_an_order_that_was_kept_survives_sigkill_at_the_next_instant(
    store: OrderStore, tmp_path: Path
) -> None:
    process = run_python(KEEP_MANY, str(tmp_path), "a", "1000")
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen = int(line) + 1
        if seen == 50:
            process.kill()
            break
    process.wait()
    seen += len(process.stdout.readlines())
    assert set(ids(store)) >= {f"a-{number}" for number in range(seen)}


def test_two_processes_keep_orders_in_one_store_without_losing_any(store: OrderStore, tmp_path: Path) -> None:
    processes = [run_python(KEEP_MANY, str(tmp_path), name, "150") for name in ("a", "b")]
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert sorted(ids(store)) == sorted(f"{name}-{number}" for name in ("a", "b") for number in range(150))
    assert store.backlog().depth == 300


def test_a_full_store_refuses_whole_orders_and_takes_them_again_when_there_is_room(tmp_path: Path) -> None:
    store = OrderStore(tmp_path, limits=StoreLimits(max_bytes=200_000))
    kept = fill(store)
    assert ids(store) == [f"order-{number}" for number in range(kept)]
    store.remove([order.number for order in store.oldest(kept // 2)])
    store.keep(message(5000, size=2000))
    assert ids(store)[-1] == "order-5000"
    store.close()


def test_a_key_is_recorded_while_the_orders_part_is_full(tmp_path: Path) -> None:
    store = OrderStore(tmp_path, limits=StoreLimits(max_bytes=400_000))
    kept = fill(store)
    for number in range(50):
        key = f"key-{number}".encode()
        assert store.claim(key, b"content", str(number), lifetime_seconds=DAY).order_id == str(number)
    with pytest.raises(StoreUnavailable, match="full"):
        store.keep(message(9999, size=2000))
    with pytest.raises(StoreUnavailable, match="full"):
        store.check()
    assert len(ids(store)) == kept
    store.close()


def test_an_order_that_finds_no_room_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    store = OrderStore(tmp_path, limits=StoreLimits(max_bytes=400_000))
    fill(store)

    def write(number: int) -> str:
        if number % 2:
            return store.claim(f"{number}".encode(), b"", str(number), lifetime_seconds=DAY).order_id
        with pytest.raises(StoreUnavailable, match="full"):
            store.keep(message(number, size=2000))
        return str(number)

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(write, range(200))) == [str(number) for number in range(200)]
    store.close()


def test_the_write_ahead_log_stays_small_while_others_read_all_the_time(
    store: OrderStore, tmp_path: Path
) -> None:
    done = threading.Event()
    largest = 0

    def read() -> None:
        while not done.is_set():
            store.oldest(250)

    with ThreadPoolExecutor(36) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for _ in range(20):
            list(pool.map(lambda number: store.keep(message(number, size=2000)), range(500)))
            largest = max(largest, (tmp_path / f"{FILE_NAME}-wal").stat().st_size)
        done.set()
        for reader in readers:
            reader.result()
    assert store.backlog().depth == 10_000
    # 20 MB of orders, each page more than once. One batch and what is being written come on top of 8 MiB.
    assert largest < 12 << 20


def test_a_file_of_the_version_before_is_taken_over_with_its_orders(tmp_path: Path) -> None:
    store = OrderStore(tmp_path)
    store.keep(message(1))
    store.claim(b"key", b"content", "order-1", lifetime_seconds=DAY)
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 0")
    store = OrderStore(tmp_path)
    store.keep(message(2))
    assert ids(store) == ["order-1", "order-2"]
    assert store.backlog().depth == 2
    assert store.claim(b"key", b"content", "order-3", lifetime_seconds=DAY).order_id == "order-1"
    store.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = OrderStore(tmp_path)
    store.keep(message(1))
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    store = OrderStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="newer version"):
        store.keep(message(2))
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT order_id FROM orders").fetchall() == [("order-1",)]


def test_a_file_that_may_not_grow_refuses_orders_and_loses_none(tmp_path: Path) -> None:
    # The kernel refuses the write itself, as it does on a volume that something else has filled.
    code = """
import resource, signal, sys
from pathlib import Path
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.store import OrderStore, StoreUnavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = OrderStore(Path(sys.argv[1]))
store.keep(OrderMessage("first", b"{}", "request"))
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, unlimited[1]))
kept = 1
try:
    while kept < 2000:
        store.keep(OrderMessage(str(kept), b"x" * 2000, "request"))
        kept += 1
except StoreUnavailable:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
store.keep(OrderMessage("last", b"{}", "request"))
orders = store.oldest(10_000)
assert len(orders) == kept + 1, (len(orders), kept)
assert orders[-1].message.order_id == "last"
"""
    process = run_python(code, str(tmp_path))
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "refused\n")


def test_the_last_bytes_of_the_volume_are_left_for_removing_orders(tmp_path: Path) -> None:
    store = OrderStore(tmp_path, limits=StoreLimits(reserve_bytes=1 << 60))
    with pytest.raises(StoreUnavailable, match="free"):
        store.keep(message(1))
    with pytest.raises(StoreUnavailable, match="free"):
        store.check()


def test_a_damaged_file_is_reported_and_a_good_one_in_its_place_is_used(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database, however long one looks at it" * 100)
    store = OrderStore(tmp_path)
    for attempt in (lambda: store.keep(message(1)), store.check, lambda: store.oldest(1)):
        with pytest.raises(StoreUnavailable, match="not a database"):
            attempt()
    (tmp_path / FILE_NAME).unlink()
    store.keep(message(1))
    assert ids(store) == ["order-1"]
    store.close()


def test_a_locked_store_is_waited_for_only_so_long(tmp_path: Path) -> None:
    store = OrderStore(tmp_path, patience_seconds=0.3)
    store.keep(message(1))
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            store.keep(message(2))
        assert time.monotonic() - began < 2
        other.execute("ROLLBACK")
    store.keep(message(3))
    assert ids(store) == ["order-1", "order-3"]
    store.close()


def test_a_process_that_is_stopped_in_the_middle_of_its_work_leaves_the_store_usable(
    store: OrderStore, tmp_path: Path
) -> None:
    store.keep(message(0))
    process = run_python(KEEP_MANY, str(tmp_path), "a", "100000")
    assert process.stdout is not None
    process.stdout.readline()
    for round_ in range(5):
        process.send_signal(signal.SIGSTOP)
        try:
            store.keep(message(round_))
        except StoreUnavailable:
            # It was stopped inside its transaction: that must be said, and must end with it.
            process.send_signal(signal.SIGCONT)
            store.keep(message(round_))
        process.send_signal(signal.SIGCONT)
        process.stdout.readline()
    process.kill()
    process.communicate()
    store.keep(message(99))
    assert ids(store)[-1] == "order-99"


def test_a_claim_counts_for_24_hours_and_not_longer(tmp_path: Path) -> None:
    now = 1_000_000.0
    store = OrderStore(tmp_path, clock=lambda: now)

    def claim(order_id: str) -> str:
        return store.claim(b"key", b"content", order_id, lifetime_seconds=DAY).order_id

    assert claim("order-1") == "order-1"
    now += DAY - 1
    assert claim("order-2") == "order-1"
    now += 1
    assert claim("order-3") == "order-3"
    store.close()


def test_only_expired_claims_are_dropped(tmp_path: Path) -> None:
    now = 1_000_000.0
    store = OrderStore(tmp_path, clock=lambda: now)
    store.claim(b"old", b"content", "order-1", lifetime_seconds=DAY)
    now += DAY / 2
    store.claim(b"new", b"content", "order-2", lifetime_seconds=DAY)
    assert store.drop_claims(lifetime_seconds=DAY) == 0
    now += DAY / 2
    assert store.drop_claims(lifetime_seconds=DAY) == 1
    assert store.claim(b"new", b"content", "order-3", lifetime_seconds=DAY).order_id == "order-2"
    store.close()


def test_an_emptied_store_gives_its_space_back(tmp_path: Path) -> None:
    store = OrderStore(tmp_path)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: store.keep(message(number, size=2000)), range(1000)))
    store.remove([order.number for order in store.oldest(1000)])
    pages = page_count(tmp_path)
    store.give_back_space()
    assert page_count(tmp_path) < pages / 2
    store.close()


def page_count(directory: Path) -> int:
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        count: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return count
