"""Orders that were accepted and are not stored yet: in the broker's queue, in the gateway's own store."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Final

from platform_backup import containers
from platform_backup.manifest import Orders
from platform_backup.problem import BackupProblem
from platform_backup.settings import Settings

_ASK_AGAIN_SECONDS: Final = 2.0


def orders_on_their_way(settings: Settings) -> Orders:
    """Count them; what does not answer is None."""
    queues = _queues(settings)
    return Orders(
        queued=queues.get(settings.queue),
        dead_letters=queues.get(settings.dead_letter_queue),
        in_gateway_store=_store_depth(settings),
    )


def wait_until_stored(settings: Settings, seconds: float, progress: Callable[[str], None]) -> None:
    """Wait until no order is on its way.

    Args:
        settings: name the containers.
        seconds: how long at most.
        progress: is told how many there are.

    Raises:
        BackupProblem: there are still some, or nobody says how many.
    """
    deadline = time.monotonic() + seconds
    while True:
        orders = orders_on_their_way(settings)
        if orders.waiting == 0:
            return
        told = "an unknown number of" if orders.waiting is None else str(orders.waiting)
        progress(f"waiting until the orders on their way are stored: {told}")
        if time.monotonic() >= deadline:
            left = "is still 1 order on its way" if told == "1" else f"are still {told} orders on their way"
            raise BackupProblem(
                f"After {seconds:.0f} s there {left} (queue: "
                f"{_text(orders.queued)}, the gateway's store: {_text(orders.in_gateway_store)}). Is "
                "billing-app "
                "running (`make status`)? Back up without DRAIN=1, or give it longer: backup_drain_seconds."
            )
        time.sleep(_ASK_AGAIN_SECONDS)


def _text(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def _queues(settings: Settings) -> dict[str, int]:
    try:
        answer = containers.ask(
            settings.broker,
            "rabbitmqctl",
            "--quiet",
            "--timeout",
            "20",
            "--formatter",
            "json",
            "list_queues",
            "name",
            "messages",
        )
    except BackupProblem:
        # A broker that is down has no say; the manifest and the report tell that the number is unknown.
        return {}
    return {queue["name"]: queue["messages"] for queue in json.loads(answer)}


def _store_depth(settings: Settings) -> int | None:
    try:
        answer = containers.ask(
            containers.of(settings.gateway), "python", "-S", "-m", "platform_common.healthcheck"
        )
    except BackupProblem:
        # As with the broker: unknown, and told as such.
        return None
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    depth = json.loads(found[0])["dependencies"].get("order-store", {}).get("depth") if found else None
    return None if depth is None else int(depth)
