"""How the services are, as the gateway sees it: from HAProxy's checks, and from what the apps say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from api_gateway_app.health import BILLING, BROKER, INVENTORY
from api_gateway_app.page.threads import in_thread
from api_gateway_app.proxy_control import ProxyControl, Replica
from api_gateway_app.settings import Settings
from platform_common.healthcheck import probe

UP: Final = "up"
DOWN: Final = "down"
UNKNOWN: Final = "unknown"
INVENTORY_DATABASE: Final = "inventory-database"
BILLING_DATABASE: Final = "billing-database"
# Each app's own name for its database is "database".
_DATABASES: Final = {INVENTORY: INVENTORY_DATABASE, BILLING: BILLING_DATABASE}
# More than an app's own patience with its database.
PROBE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Service:
    """How one service is.

    Attributes:
        status: up, down or unknown.
        reason: why it is down, a part of a sentence.
        replicas: of an app: for each replica whether it gets requests.
    """

    status: str
    reason: str = ""
    replicas: tuple[bool, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what a page is told."""
        return {"status": self.status, "reason": self.reason, "replicas": list(self.replicas)}


class Services:
    """Looks at the apps and, through them, at their databases."""

    def __init__(self, settings: Settings, proxy: ProxyControl) -> None:
        self._proxy = proxy
        self._prefixes = {
            INVENTORY: urlsplit(settings.inventory_service_url).path,
            BILLING: urlsplit(settings.billing_service_url).path,
        }
        self._replicas: dict[str, list[Replica]] = {}

    async def look_at_apps(self) -> dict[str, Service]:
        """Return how the apps are.

        Raises:
            OSError: the proxy does not answer.
        """
        self._replicas = await in_thread(self._ask_proxy)
        return {app: _of_replicas(replicas) for app, replicas in self._replicas.items()}

    async def look_at_databases(self) -> dict[str, Service]:
        """Return how the databases are: each replica of an app is asked, all at once, since one may hang."""
        services = {}
        for app, database in _DATABASES.items():
            path = f"{self._prefixes[app]}/health/ready"
            calls = [in_thread(_get, each.address, path, 200, 503) for each in self._replicas.get(app, [])]
            services[database] = _of_database(await asyncio.gather(*calls))
        return services

    async def order(self, order_id: str) -> Mapping[str, Any] | None:
        """Return the order as billing-app has it, None if it has none or cannot say."""
        address = next((each.address for each in self._replicas.get(BILLING, []) if each.is_up), None)
        if address is None:
            return None
        return await in_thread(_get, address, f"{self._prefixes[BILLING]}/api/billing/{order_id}", 200)

    def _ask_proxy(self) -> dict[str, list[Replica]]:
        return {app: self._proxy.replicas(app) for app in _DATABASES}


def _get(address: str, path: str, *statuses: int) -> Mapping[str, Any] | None:
    """Return the JSON object that a replica answers with one of `statuses`; None if it does not."""
    try:
        status, body = probe(f"http://{address}{path}", PROBE_SECONDS)
        document = json.loads(body)
    except (OSError, ValueError):
        return None
    return document if status in statuses and isinstance(document, dict) else None


def _of_replicas(replicas: list[Replica]) -> Service:
    states = tuple(replica.is_up for replica in replicas)
    if any(states):
        return Service(UP, replicas=states)
    if replicas and not any(replica.was_asked for replica in replicas):
        return Service(UNKNOWN, replicas=states)
    reasons = sorted({replica.reason for replica in replicas})
    return Service(DOWN, "; ".join(reasons) or "its name has no address on the network", states)


def _of_database(answers: Iterable[Mapping[str, Any] | None]) -> Service:
    """Judge a database by what the replicas of its app say: one that reaches it is enough."""
    service = Service(UNKNOWN)
    for answer in answers:
        check = (answer or {}).get("dependencies", {}).get("database")
        if not check:
            continue
        if check["status"] == UP:
            return Service(UP)
        service = Service(DOWN, str(check.get("reason", "")))
    return service


def of_broker(trouble: str) -> dict[str, Service]:
    """Return the broker, given what is wrong with it."""
    return {BROKER: Service(DOWN, trouble) if trouble else Service(UP)}
