"""Where the page's event loop runs: in a thread of the main process, which reads the access log already."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Final

from api_gateway_app.health import BILLING, INVENTORY
from api_gateway_app.orders.store import OrderStore
from api_gateway_app.page.candidates import Candidates
from api_gateway_app.page.queues import Queues
from api_gateway_app.page.services import Services
from api_gateway_app.page.traffic import Traffic
from api_gateway_app.page.watch import Watch
from api_gateway_app.proxy_control import ProxyControl
from api_gateway_app.proxy_paths import paths
from api_gateway_app.settings import Settings
from platform_common.draining import is_draining
from platform_common.healthcheck import probe
from platform_common.heartbeat import Heartbeat

PAUSE_SECONDS: Final = 0.2
_logger = logging.getLogger(__name__)


def start_watching(settings: Settings, traffic: Traffic, heartbeat: Heartbeat) -> None:
    """Start the thread that gathers what the page shows, and serves the feed.

    Args:
        settings: what the gateway was told.
        traffic: what the access log tells.
        heartbeat: beats while the thread does its rounds.
    """
    threading.Thread(target=_run, args=(settings, traffic, heartbeat), name="page", daemon=True).start()


def _run(settings: Settings, traffic: Traffic, heartbeat: Heartbeat) -> None:
    # The workers are forked until then, and would have this thread's sockets too.
    while not _serves(settings):
        heartbeat.beat()
        time.sleep(PAUSE_SECONDS)
    while not is_draining():
        watch = Watch(
            traffic,
            Services(settings, ProxyControl(paths().control)),
            Candidates({INVENTORY: settings.inventory_service_url, BILLING: settings.billing_service_url}),
            Queues(settings.broker, settings.dead_letter_queue),
            OrderStore(settings.orders_directory),
            paths().feed,
            heartbeat,
        )
        try:
            asyncio.run(watch.run())
        except Exception:
            # The page begins anew; orders and movies are not to suffer from it.
            _logger.exception("The page's feed failed")
            time.sleep(PAUSE_SECONDS * 5)


def _serves(settings: Settings) -> bool:
    try:
        return probe(f"http://127.0.0.1:{settings.base.listen_port}/health/live", 1)[0] == 200
    except OSError:
        return False
