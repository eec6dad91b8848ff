"""What the access log tells of requests: the page shows them as they happen, over all worker processes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# What a client wrote comes before and after it with its quotes escaped (haproxy.cfg): none looks like this.
_LINE: Final = re.compile(
    rb'"status":(\d+),"bytes":\d+,"duration_ms":(-?\d+),"upstream":"([^/"]*)/[^"]*","ended":"[^"]*",'
    rb'"order":(?:null|\{"id":"([^"]*)","outcome":"([^"]*)"\}),'
)
_REQUEST_ID: Final = b'"request_id":'
# The page looks at the catalogue for its lab with this id (static/lab.js).
_LOOK: Final = b'"request_id":"the-lab"}'
_PAGE_FILE: Final = re.compile(rb'"path":"/(page/[^"]*)?"')
MOVIES: Final = "movies"
LOOKUPS: Final = "lookups"
ORDERS: Final = "orders"
KEPT: Final = "kept"
OTHERS: Final = "others"
FAILED: Final = "failed"
_KIND_OF_UPSTREAM: Final = {b"inventory-app": MOVIES, b"billing-app": LOOKUPS}
# So many orders of one round are told one by one: no page can show more.
MOST_ORDERS: Final = 500


@dataclass(frozen=True, slots=True)
class LoggedOrder:
    """An accepted order, as the access log tells it.

    Attributes:
        order_id: its UUID as text.
        request_id: X-Request-ID of the call.
        is_kept: whether the gateway has it, and not the broker.
        began_at: when the call came, in seconds since 1970.
        ended_at: when it was answered.
    """

    order_id: str
    request_id: str
    is_kept: bool
    began_at: float
    ended_at: float


@dataclass
class Tally:
    """What happened since the last look.

    Attributes:
        kinds: number of requests by kind; orders that were kept, and requests that failed, count twice.
        durations: number of requests by their duration in milliseconds.
        orders: the accepted orders, the first of them if they are many.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    orders: list[LoggedOrder] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return self.kinds[MOVIES] + self.kinds[LOOKUPS] + self.kinds[ORDERS] + self.kinds[OTHERS]


class Traffic:
    """Counts what the thread of the access log brings, until the feed takes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()

    def note(self, lines: list[bytes]) -> None:
        """Count the requests of these lines of the access log."""
        now = time.time()
        with self._lock:
            for line in lines:
                self._count(line, now)

    def take(self) -> Tally:
        """Return what was counted since the last call."""
        with self._lock:
            taken, self._tally = self._tally, Tally()
        return taken

    def _count(self, line: bytes, now: float) -> None:
        match = _LINE.search(line)
        if match is None:
            return
        status, milliseconds, upstream, order_id, outcome = match.groups()
        if upstream == b"feed" or _PAGE_FILE.search(line) or line.endswith(_LOOK):
            # To look at the page changes nothing that it shows.
            return
        tally = self._tally
        # -1: it was broken off.
        if (duration := int(milliseconds)) >= 0:
            tally.durations[duration] += 1
        if status >= b"500":
            tally.kinds[FAILED] += 1
        if order_id is None:
            tally.kinds[_KIND_OF_UPSTREAM.get(upstream, OTHERS)] += 1
            return
        tally.kinds[ORDERS] += 1
        is_kept = outcome != b"confirmed"
        if is_kept:
            tally.kinds[KEPT] += 1
        if len(tally.orders) < MOST_ORDERS:
            request_id = json.loads(line.rpartition(_REQUEST_ID)[2].rstrip(b"}"))
            began_at = now - max(0, duration) / 1000
            tally.orders.append(LoggedOrder(order_id.decode(), request_id, is_kept, began_at, now))


def percentile(durations: Counter[int], share: float) -> int | None:
    """Return the duration that `share` of all (0 to 1) do not exceed, None of none."""
    total = durations.total()
    seen = 0
    for duration in sorted(durations):
        seen += durations[duration]
        if seen >= total * share:
            return duration
    return None
