"""Orders at all gateways while something happens; in the end each accepted one is stored exactly once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cluster.swarm import Swarm, next_gateway
from tests.faults.verdict import Excuse, judge
from tests.library.order_load import OrderLoad
from tests.library.orders import Journal

RATE: Final = 40
SETTLE_SECONDS: Final = 5


class Ordering:
    """Clients that order, and try the next gateway after an error.

    Args:
        swarm: the machines.
        folder: for the journal.
        name: what happens meanwhile, for the names of the users.
    """

    def __init__(self, swarm: Swarm, folder: Path, name: str) -> None:
        self._swarm = swarm
        self.run = f"{name.replace(' ', '-')}-{int(time.time())}"
        self._journal = Journal(folder / "journal.tsv", self.run)
        self._load = OrderLoad(self._journal, next_gateway(), rate=RATE)
        self._began = 0.0

    def __enter__(self) -> Self:
        self._load.__enter__()
        time.sleep(SETTLE_SECONDS)
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        time.sleep(SETTLE_SECONDS)
        self._load.__exit__(kind, error, traceback)
        self._journal.close()

    def stored(self, machine: str) -> int:
        """How many orders are stored by now, as a machine can tell."""
        return len(self._swarm.rows(self.run, machine))

    def count(self) -> Counter[str]:
        """Wait until nothing is on the way, check that nothing is lost or doubled, and give the figures."""
        ended = time.monotonic()
        self._swarm.wait_until_stored(120)
        verdict = judge(
            self._journal.orders,
            self._swarm.rows(self.run),
            self._swarm.first.page().look_at("billing_dead_letter"),
            [Excuse(self._began - 1, ended + 1)],
            run=self.run,
        )
        assert verdict.findings == {}, "\n".join(verdict.lines())
        assert verdict.figures["accepted"] > 500
        return verdict.figures
