"""A million films and a million orders: how long it takes, what it takes, and what others notice of it."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Final

import pytest
from tests.library.api import Api
from tests.library.loads import Load
from tests.node.node import Node
from tests.restore.backups import Backups

pytestmark = pytest.mark.timeout(7200)

ROWS: Final = int(os.environ.get("BACKUP_ROWS") or 1_000_000)
RATE: Final = 40.0
QUIET_SECONDS: Final = 30.0
FILMS: Final = f"""
INSERT INTO movies (title, description)
SELECT 'Film ' || n || ' ' || md5(n::text), repeat(md5((n * 7)::text) || ' ', 1 + n % 5)
FROM generate_series(1, {ROWS}) n
"""  # noqa: S608
ORDERS: Final = f"""
INSERT INTO orders (order_id, user_id, number_of_items, total_amount, film_id)
SELECT gen_random_uuid(), 'user ' || n % 10000, 1 + n % 99, (n % 100000) / 100.0, n
FROM generate_series(1, {ROWS}) n
"""  # noqa: S608
# Every row, in one number for each table.
DIGESTS: Final = {
    "movies": "SELECT to_json(md5(string_agg(md5(movies::text), '' ORDER BY id))) FROM movies",
    "orders": "SELECT to_json(md5(string_agg(md5(orders::text), '' ORDER BY order_id))) FROM orders",
}

# Only the backup, without Ansible's own work before and after it.
BACKUP: Final = (
    "play-with-containers-backup create && while play-with-containers-backup watch --seconds 60 2> /dev/null "
    "| grep -q '\"running\"'; do :; done && play-with-containers-backup watch | grep -q '\"done\"'"
)


class Memory:
    """Samples the largest memory of the program on the machine while the `with` block lasts."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.largest_mib = 0.0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1):
            answer = self._node.run(
                "grep -h VmHWM /proc/$(cat /run/play-with-containers-backup/lock)/status 2>/dev/null || true"
            )
            if answer:
                self.largest_mib = max(self.largest_mib, int(answer.split()[1]) / 1024)


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_a_million_of_each(backups: Backups, node: Node, api: Api, env: dict[str, str]) -> None:
    def digests() -> dict[str, str]:
        containers = {"movies": "inventory-database", "orders": "billing-database"}
        return {
            name: node.psql(containers[name], env["POSTGRES_USER"], name, query)
            for name, query in DIGESTS.items()
        }

    backups.execute("movies", f"TRUNCATE movies; {FILMS}; ANALYZE movies", name="movies")
    backups.execute("orders", f"TRUNCATE orders; {ORDERS}; ANALYZE orders", name="orders")
    backups.make(operate_drain="1")
    quiet, busy = [], []
    for _ in range(3):
        with Load(api, clients=8, rate=RATE) as load:
            threading.Event().wait(QUIET_SECONDS)
        assert load.failed == {}
        quiet.append(load.percentile(0.99))
        with Load(api, clients=8, rate=RATE) as load:
            node.run(BACKUP)
        assert load.failed == {}
        busy.append(load.percentile(0.99))
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"p99 quiet {quiet} ms, during a backup {busy} ms: {ratio:.2f} times")

    before = digests()
    with Memory(node) as memory:
        seconds = timed(lambda: backups.make(operate_drain="1"))
        backup = max(backups.copies.glob("*/*"))
        print(
            f"backup: {seconds:.0f} s with its copy; {backups.said}; {memory.largest_mib:.0f} MiB of memory"
        )
    with Memory(node) as memory:
        seconds = timed(lambda: backups.restore(backup))
    print(f"restore: {seconds:.0f} s with its copy; {memory.largest_mib:.0f} MiB of memory")
    assert digests() == before
    backups.discard()
