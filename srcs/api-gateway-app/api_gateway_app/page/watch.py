"""What the page shows is gathered here: every second while a page is open, and told to all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from api_gateway_app.health import BILLING, INVENTORY
from api_gateway_app.orders.store import OrderStore, StoreUnavailable
from api_gateway_app.page.candidates import Candidates
from api_gateway_app.page.feed import Feed, Page, event
from api_gateway_app.page.history import NUMBERS, POINT_SECONDS, History
from api_gateway_app.page.orders import Orders, OrderSteps
from api_gateway_app.page.queues import Queues, QueueSample
from api_gateway_app.page.services import (
    BILLING_DATABASE,
    INVENTORY_DATABASE,
    UNKNOWN,
    Service,
    Services,
    of_broker,
)
from api_gateway_app.page.threads import in_thread
from api_gateway_app.page.traffic import Traffic
from platform_common.draining import is_draining
from platform_common.heartbeat import Heartbeat

# Dots on the map follow a request after so long; while no page is open, nothing is in a hurry.
ROUND_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 1.0
# The apps do some work for this.
DATABASES_SECONDS: Final = 2.0
# While no page is open, only so many seconds apart: often enough for the charts.
REST_SECONDS: Final = 5
# A page believes that the feed is gone when it has heard nothing for longer.
SILENCE_SECONDS: Final = 2.0
# Orders that billing-app is asked about in one second, for all pages together.
ORDERS_ASKED: Final = 6
_logger = logging.getLogger(__name__)


class Watch:
    """Gathers and tells. Runs in one event loop; what blocks runs in threads of the loop.

    Args:
        traffic: what the access log told.
        services: asks the proxy and the apps.
        candidates: asks whether new versions are tried.
        queues: asks the broker.
        store: where the gateway keeps orders.
        socket: where the feed is served.
        heartbeat: beats in each round.
    """

    def __init__(
        self,
        traffic: Traffic,
        services: Services,
        candidates: Candidates,
        queues: Queues,
        store: OrderStore,
        socket: Path,
        heartbeat: Heartbeat,
    ) -> None:
        self._traffic = traffic
        self._services = services
        self._candidates = candidates
        self._queues = queues
        self._store = store
        self._heartbeat = heartbeat
        self._feed = Feed(socket, self._greet)
        self._history = History(time.monotonic())
        self._orders = Orders()
        self._health = {
            name: Service(UNKNOWN) for name in (INVENTORY, INVENTORY_DATABASE, BILLING, BILLING_DATABASE)
        }
        self._tried: list[str] = []
        self._queue: QueueSample | None = None
        self._kept: int | None = None
        self._told: bytes = b""
        self._told_at = 0.0

    async def run(self) -> None:
        """Serve until the gateway is told to stop."""
        await self._feed.open()
        async with asyncio.TaskGroup() as tasks:
            looks = [
                self._every(LOOK_SECONDS, self._look_at_apps),
                self._every(DATABASES_SECONDS, self._look_at_databases),
                self._every(LOOK_SECONDS, self._look_at_candidates),
                self._every(LOOK_SECONDS, self._look_at_queue),
                self._every(LOOK_SECONDS, self._look_at_store),
                self._every(LOOK_SECONDS, self._ask_orders),
            ]
            running = [tasks.create_task(look) for look in looks]
            while not is_draining():
                self._heartbeat.beat()
                self._tell()
                await asyncio.sleep(ROUND_SECONDS if self._feed.pages else LOOK_SECONDS)
            self._feed.close()
            for task in running:
                task.cancel()

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        """Call `look` every so many seconds while a page is open, and now and then otherwise."""
        while True:
            try:
                await look()
            except OSError as error:
                _logger.warning("The proxy does not say how the services are: %s", error)
            await asyncio.sleep(seconds)
            for _ in range(REST_SECONDS - 1):
                if not self._feed.pages:
                    await asyncio.sleep(LOOK_SECONDS)

    async def _look_at_apps(self) -> None:
        self._health |= await self._services.look_at_apps()

    async def _look_at_databases(self) -> None:
        if self._feed.pages:
            self._health |= await self._services.look_at_databases()

    async def _look_at_candidates(self) -> None:
        if self._feed.pages:
            self._tried = await self._candidates.look()

    async def _look_at_queue(self) -> None:
        sample = await in_thread(self._queues.ask)
        if sample is not None and sample.waiting == 0:
            self._orders.queue_was_empty(sample.asked_at)
        self._queue = sample

    async def _look_at_store(self) -> None:
        at = time.time()
        try:
            backlog = await in_thread(self._store.backlog)
        except StoreUnavailable:
            self._kept = None
            return
        self._kept = backlog.depth
        # Its age is rounded to a tenth of a second: to be sure, it counts as older.
        oldest = at - backlog.oldest_age_seconds - 0.1 if backlog.depth else None
        self._orders.store_was_seen(oldest, at)

    async def _ask_orders(self) -> None:
        """Ask billing-app for orders that pages show and that are not stored yet."""
        if not self._feed.pages:
            return
        for order_id in self._asked_orders():
            document = await self._services.order(order_id)
            if document is not None:
                self._orders.was_stored(order_id, datetime.fromisoformat(document["stored_at"]).timestamp())

    def _asked_orders(self) -> list[str]:
        """Return the ids of those that are followed, then of the others that are shown, oldest first."""
        followed = [page.order for page in self._feed.pages if page.order]
        found = [(beginning, self._orders.find(beginning)) for beginning in followed]
        wanted = [steps for _, steps in found if steps is not None] + self._orders.newest()[::-1]
        # One that is too old to be remembered, by its whole id.
        ids = [beginning for beginning, steps in found if steps is None and len(beginning) == 36]
        ids += [steps.order_id for steps in wanted if steps.stored is None]
        return list(dict.fromkeys(ids))[:ORDERS_ASKED]

    def _tell(self) -> None:
        """Tell all pages what is new."""
        tally = self._traffic.take()
        for order in tally.orders:
            self._orders.accept(order)
        self._history.add(tally)
        waiting = self._waiting()
        point = self._history.close_point(time.monotonic(), waiting)
        if not self._feed.pages:
            return
        events = []
        if tally.kinds:
            events.append(event("traffic", tally.kinds))
        events.extend(event("order", steps.as_dict()) for steps in self._news())
        if point is not None:
            events.append(event("point", point))
        state = event("state", self._state())
        if state != self._told or time.monotonic() - self._told_at >= SILENCE_SECONDS:
            self._told, self._told_at = state, time.monotonic()
            events.append(state)
        self._feed.send(b"".join(events))

    def _news(self) -> Iterator[OrderSteps]:
        followed = {page.order for page in self._feed.pages if page.order}
        shown = [self._orders.find(beginning) for beginning in followed] + self._orders.newest()[::-1]
        for steps in shown:
            if steps is not None and steps.is_new:
                steps.is_new = False
                yield steps

    def _greet(self, page: Page) -> Iterator[bytes]:
        """Return what a page is told first."""
        points = list(self._history.points)
        yield event("history", {"seconds": POINT_SECONDS, "of": NUMBERS, "points": points})
        yield event("state", self._state())
        shown = [*self._orders.newest()[::-1], self._orders.find(page.order) if page.order else None]
        yield from (event("order", steps.as_dict()) for steps in shown if steps is not None)

    def _waiting(self) -> tuple[int | None, int | None, int | None]:
        queue = None if self._queues.trouble() else self._queue
        return (queue.waiting if queue else None, queue.dead_letters if queue else None, self._kept)

    def _state(self) -> dict[str, Any]:
        waiting, dead_letters, kept = self._waiting()
        services = self._health | of_broker(self._queues.trouble())
        return {
            "services": {name: service.as_dict() for name, service in services.items()},
            "candidates": self._tried,
            "waiting": waiting,
            "consumers": self._queue.consumers if self._queue else None,
            "dead_letters": dead_letters,
            "kept": kept,
        }
