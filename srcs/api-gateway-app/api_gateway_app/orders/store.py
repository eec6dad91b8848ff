"""The orders that the broker has not confirmed, on disk, shared by all worker processes.

SQLite in WAL mode with full synchronisation: what `keep` returned from survives a crash of this
process and of the machine. All writes of one process pass through one thread, which commits
whatever has gathered in one transaction: many orders share one fsync.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from api_gateway_app.orders.message import OrderMessage, StoredOrder

FILE_NAME: Final = "orders.sqlite3"
# Of the tables below, in the file's own `user_version`. One more for each change of them, which must
# turn every older file into the newest form, and may run again.
SCHEMA_VERSION: Final = 1
# SQLite begins its write-ahead log anew only at a moment without readers, which may not come for long.
# Above this size the log is emptied anyway; the readers, who are quick, are waited for so long.
_WAL_BYTES: Final = 8 << 20
_WAL_PATIENCE_MILLISECONDS: Final = 100
_BATCH: Final = 256
# Few enough that an order which comes meanwhile waits some milliseconds only.
CLAIMS_AT_ONCE: Final = 2000
_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL,
    body BLOB NOT NULL,
    request_id TEXT NOT NULL,
    stored_at REAL NOT NULL
);
-- Counting a million rows at each health check would read the whole table.
CREATE TABLE IF NOT EXISTS depth (orders INTEGER NOT NULL);
INSERT INTO depth SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM depth);
CREATE TRIGGER IF NOT EXISTS orders_kept AFTER INSERT ON orders
    BEGIN UPDATE depth SET orders = orders + 1; END;
CREATE TRIGGER IF NOT EXISTS orders_removed AFTER DELETE ON orders
    BEGIN UPDATE depth SET orders = orders - 1; END;
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key BLOB PRIMARY KEY,
    content BLOB NOT NULL,
    order_id TEXT NOT NULL,
    claimed_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_keys_claimed_at ON idempotency_keys (claimed_at);
"""


class StoreUnavailable(Exception):
    """The store cannot do it now (full, locked, damaged, no such directory); the text says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds an idempotency key.

    Attributes:
        content: digest of the order that came with the key first.
        order_id: the id which that order got.
    """

    content: bytes
    order_id: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits in the store: orders, and the age of the oldest in seconds."""

    depth: int
    oldest_age_seconds: float


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How far the store may grow.

    Orders end before keys do. So while the broker is up and the orders' part is full, an order with
    an idempotency key is still accepted: its key can be recorded, and the broker takes the order.

    Attributes:
        max_bytes: size of the database file; the write-ahead log comes on top.
        keys_share: the part of it that orders leave to idempotency keys.
        reserve_bytes: what must stay free on the volume for an order to be stored, twice as much as
            for a key. Removing orders needs space too (the write-ahead log): a volume that our own
            orders filled to the last byte could never be emptied again.
    """

    max_bytes: int = 1 << 30
    keys_share: float = 0.125
    reserve_bytes: int = 2 << 20


class OrderStore:
    """Keeps orders and idempotency keys in one SQLite file in `directory`.

    Safe to use from many threads; several processes may have a store on the same directory.
    A store that cannot be opened is no error here: each call tries again and raises
    `StoreUnavailable` as long as it cannot.

    Args:
        directory: where the file lies; on a volume of its own.
        limits: how far it may grow.
        patience_seconds: longest time for one call, waiting for other processes included.
        clock: gives the time in seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limits: StoreLimits | None = None,
        patience_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._limits = limits or StoreLimits()
        self._patience = patience_seconds
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._start_lock = threading.Lock()

    def keep(self, message: OrderMessage) -> None:
        """Make `message` durable: on return it is on the disk.

        Raises:
            StoreUnavailable: nothing was kept, or it took too long to know.
        """
        self._require_space(self._limits.reserve_bytes)
        row = (message.order_id, message.body, message.request_id, self._clock())

        def insert(connection: sqlite3.Connection) -> None:
            self._require_room_for_orders(connection)
            connection.execute(
                "INSERT INTO orders (order_id, body, request_id, stored_at) VALUES (?, ?, ?, ?)", row
            )

        self._write(insert)

    def claim(self, key: bytes, content: bytes, order_id: str, *, lifetime_seconds: float) -> Claim:
        """Record durably that `key` stands for this order, unless it already stands for another.

        Args:
            key: digest of the user and the key that they sent.
            content: digest of the order's content.
            order_id: the id for the order if the key is free.
            lifetime_seconds: a claim that is older than this counts for nothing.

        Returns:
            The claim that holds: this one, or the one that came first.

        Raises:
            StoreUnavailable: nothing was recorded, or it took too long to know.
        """
        self._require_space(self._limits.reserve_bytes // 2)
        now = self._clock()

        def insert(connection: sqlite3.Connection) -> Claim:
            connection.execute(
                "INSERT INTO idempotency_keys (key, content, order_id, claimed_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET content = excluded.content, "
                "order_id = excluded.order_id, claimed_at = excluded.claimed_at "
                "WHERE claimed_at <= excluded.claimed_at - ?",
                (key, content, order_id, now, lifetime_seconds),
            )
            row = connection.execute(
                "SELECT content, order_id FROM idempotency_keys WHERE key = ?", (key,)
            ).fetchone()
            return Claim(*row)

        return self._write(insert)

    def is_claimed(self, key: bytes, *, lifetime_seconds: float) -> bool:
        """Say whether `key` stands for an order.

        Args:
            key: as for `claim`.
            lifetime_seconds: as for `claim`.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        after = self._clock() - lifetime_seconds
        query = "SELECT 1 FROM idempotency_keys WHERE key = ? AND claimed_at > ?"
        return self._read(query, key, after) != []

    def drop_claims(self, *, lifetime_seconds: float, limit: int = CLAIMS_AT_ONCE) -> int:
        """Forget up to `limit` claims that are older than `lifetime_seconds`; return how many."""
        before = self._clock() - lifetime_seconds

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM idempotency_keys WHERE key IN "
                "(SELECT key FROM idempotency_keys WHERE claimed_at <= ? LIMIT ?)",
                (before, limit),
            ).rowcount

        return self._write(delete)

    def oldest(self, limit: int) -> list[StoredOrder]:
        """Return up to `limit` orders, oldest first.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        rows = self._read(
            "SELECT number, order_id, body, request_id FROM orders ORDER BY number LIMIT ?", limit
        )
        return [
            StoredOrder(number, OrderMessage(order_id, body, request_id))
            for number, order_id, body, request_id in rows
        ]

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget orders that the broker has taken over.

        Raises:
            StoreUnavailable: they are all still there, or it took too long to know.
        """
        rows = [(number,) for number in numbers]

        def delete(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM orders WHERE number = ?", rows)

        self._write(delete)

    def backlog(self) -> Backlog:
        """Return how much waits.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        (depth, stored_at), *_ = self._read(
            "SELECT orders, (SELECT stored_at FROM orders ORDER BY number LIMIT 1) FROM depth"
        )
        age = 0.0 if stored_at is None else max(0.0, self._clock() - stored_at)
        return Backlog(depth, round(age, 1))

    def check(self) -> Backlog:
        """Return how much waits, after making sure that an order could be kept now.

        Raises:
            StoreUnavailable: no order can be kept now.
        """
        self._require_space(self._limits.reserve_bytes)
        self._write(self._require_room_for_orders)
        return self.backlog()

    def give_back_space(self) -> None:
        """Return free pages of the file to the file system.

        Raises:
            StoreUnavailable: the file stays as large as it is.
        """
        try:
            with closing(self._open()) as connection:
                # `execute` would stop after the first page.
                connection.executescript("PRAGMA incremental_vacuum(1000)")
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """End the writing thread after what it has been given."""
        with self._start_lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            self._jobs.put(None)
            writer.join(self._patience)

    def _require_space(self, reserve_bytes: int) -> None:
        try:
            volume = os.statvfs(self._directory)
        except OSError as error:
            raise StoreUnavailable(f"{self._directory}: {error.strerror}") from error
        free = volume.f_bavail * volume.f_frsize
        if free < reserve_bytes:
            raise StoreUnavailable(f"only {free} bytes are free on the volume {self._directory}")

    def _require_room_for_orders(self, connection: sqlite3.Connection) -> None:
        ((pages, free, size),) = connection.execute(
            "SELECT page_count, freelist_count, page_size "
            "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        if (pages - free) * size >= self._limits.max_bytes * (1 - self._limits.keys_share):
            raise StoreUnavailable(f"the store of orders is full ({self._limits.max_bytes} bytes)")

    def _write(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        self._start_writer()
        future: Future[_Result] = Future()

        def run(connection: sqlite3.Connection) -> Callable[[], None]:
            try:
                result = action(connection)
            except StoreUnavailable as error:
                # Refused before it wrote anything: the others of its batch need not fail with it.
                refusal = error
                return lambda: future.set_exception(refusal)
            return lambda: future.set_result(result)

        self._jobs.put(_Job(run, future.set_exception))
        try:
            # The writer itself waits up to the patience for a lock that another process holds.
            return future.result(self._patience * 2)
        except FutureTimeoutError as error:
            raise StoreUnavailable("the disk did not answer in time") from error

    def _read(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            with closing(self._open()) as connection:
                return connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        """Say what is wrong with the file, and what to do where it does not mend by itself."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            return StoreUnavailable(
                f"{self._directory / FILE_NAME} is damaged ({error}). Nothing in it is touched: stop the "
                "gateway, move the file away, start it, and save the orders from the copy with "
                "sqlite3's .recover"
            )
        return StoreUnavailable(str(error))

    def _open(self) -> sqlite3.Connection:
        path = self._directory / FILE_NAME
        connection = sqlite3.connect(path, timeout=self._patience, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise sqlite3.OperationalError(
                    f"{path} was made by a newer version of the gateway: start that one again, until it "
                    "has handed over all orders"
                )
            if version < SCHEMA_VERSION:
                self._create(connection)
            connection.execute("PRAGMA synchronous = FULL")
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {self._limits.max_bytes // page_size}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        """Turn a new file, or one of an older version, into a store; one process at a time.

        SQLite does not wait where two switch a file to its write-ahead log at once: the second would
        be told that the database is locked.
        """
        try:
            lock = (self._directory / f"{FILE_NAME}.create").open("w")
        except OSError as error:
            raise sqlite3.OperationalError(f"{self._directory}: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # auto_vacuum counts only while the file is empty, so it comes first.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(
                f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )

    def _start_writer(self) -> None:
        with self._start_lock:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._run_writer, name="order-store", daemon=True)
                self._writer.start()

    def _run_writer(self) -> None:
        connection: sqlite3.Connection | None = None
        while (batch := self._next_batch()) is not None:
            try:
                connection = connection or self._open()
                _commit(connection, batch)
            except Exception as error:
                if not isinstance(error, sqlite3.Error):
                    _logger.error("The order store failed", exc_info=error)
                if connection is not None:
                    # A damaged or replaced file: the next call opens what is there then.
                    connection.close()
                    connection = None
                for job in batch:
                    job.fail(self._unavailable(error))
            else:
                self._shorten_log(connection)
        if connection is not None:
            connection.close()

    def _shorten_log(self, connection: sqlite3.Connection) -> None:
        try:
            if (self._directory / f"{FILE_NAME}-wal").stat().st_size <= _WAL_BYTES:
                return
            connection.execute(f"PRAGMA busy_timeout = {_WAL_PATIENCE_MILLISECONDS}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (OSError, sqlite3.Error) as error:
            # What was committed is safe; the next batch tries again.
            _logger.warning("The write-ahead log of the order store stays long: %s", error)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def _next_batch(self) -> list[_Job] | None:
        first = self._jobs.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch


@dataclass(frozen=True, slots=True)
class _Job:
    """A write that somebody waits for: `run` does it and returns what tells them after the commit."""

    run: Callable[[sqlite3.Connection], Callable[[], None]]
    fail: Callable[[BaseException], None]


def _commit(connection: sqlite3.Connection, batch: Sequence[_Job]) -> None:
    """Do all of `batch` in one transaction, then tell everybody; on an error nothing is done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        reports = [job.run(connection) for job in batch]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    for report in reports:
        report()
