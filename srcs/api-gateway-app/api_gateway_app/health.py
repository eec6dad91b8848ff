"""What /health/ready says of the gateway's dependencies."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from api_gateway_app.orders.publisher import Publisher, State
from api_gateway_app.orders.store import OrderStore, StoreUnavailable
from platform_common.health import NO_CONNECTION, Check

CACHE_SECONDS: Final = 1.0

INVENTORY: Final = "inventory-app"
BILLING: Final = "billing-app"
BROKER: Final = "rabbitmq"
STORE: Final = "order-store"


def verdict(dependencies: Mapping[str, Mapping[str, Any]]) -> str:
    """Judge the gateway: ready, degraded while orders can still be kept, or unready.

    An order can be kept by the broker or by the store.
    """
    up = {name for name, check in dependencies.items() if check["status"] == "up"}
    if up == dependencies.keys():
        return "ready"
    return "degraded" if up & {BROKER, STORE} else "unready"


def check_publisher(publisher: Publisher) -> Mapping[str, Any]:
    """Say whether the broker takes orders."""
    state = publisher.state
    if state is State.READY:
        return {"status": "up"}
    if state is State.DISCONNECTED:
        return {"status": "down", "reason": NO_CONNECTION}
    return {"status": "down", "reason": state.value}


def check_store(store: OrderStore) -> Mapping[str, Any]:
    """Say whether orders can be stored, how many are, and how old the oldest is."""
    try:
        backlog = store.check()
    except StoreUnavailable as error:
        return {"status": "down", "reason": str(error)}
    return {"status": "up", "depth": backlog.depth, "oldest_age_seconds": backlog.oldest_age_seconds}


def cached(check: Check, seconds: float = CACHE_SECONDS) -> Check:
    """Return `check` with its result kept for `seconds`, so that many callers cost no more than one."""
    lock = threading.Lock()
    result: Mapping[str, Any] = {}
    expires_at = 0.0

    def answer() -> Mapping[str, Any]:
        nonlocal result, expires_at
        with lock:
            if time.monotonic() >= expires_at:
                result = check()
                expires_at = time.monotonic() + seconds
            return result

    return answer
