"""The whole platform without containers, for the tests of its page: its parts can be stopped and started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.library.apps import Broker, Database, base_environment, end
from tests.library.gateway import Gateway
from tests.library.servers import free_port
from tests.library.support import wait_until


class App:
    """inventory-app or billing-app, always on the same port.

    Args:
        package: inventory_app or billing_app.
        directory: an empty one of its own.
        variables: what it is told.
    """

    def __init__(self, package: str, directory: Path, variables: Mapping[str, str]) -> None:
        directory.mkdir()
        self._package = package
        self._log = directory / "log"
        self.port = free_port()
        self._environment = {
            **base_environment(),
            "SERVICE_NAME": package.replace("_", "-"),
            "LISTEN_PORT": str(self.port),
            "METRICS_PORT": str(free_port()),
            "THREADS": "4",
            "DRAIN_SECONDS": "0",
            "TMPDIR": str(directory),
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it can do its work."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._package, "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, f"{self._package} is ready")

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class Platform:
    """The three apps, with their databases and the broker."""

    gateway: Gateway
    inventory: App
    billing: App
    broker: Broker
    movies: Database

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.gateway.port}"

    def stop(self) -> None:
        """Stop the apps; the databases and the broker are others'."""
        self.gateway.kill()
        self.billing.stop()
        self.inventory.stop()


def make_billing_app(directory: Path, orders: Database, broker: Broker) -> App:
    """Return billing-app, with its accounts of the database and the broker; not started yet."""
    secret = Path(orders.app["SECRETS_DIRECTORY"]) / "rabbitmq_password"
    secret.write_text(broker.passwords["billing-app"])
    return App("billing_app", directory, {**orders.app, **broker.variables})


def start_platform(
    directory: Path, movies: Database, orders: Database, broker: Broker, variables: Mapping[str, str]
) -> Platform:
    """Start all apps; returns when they can do their work.

    Args:
        directory: an empty one.
        movies: the database of inventory-app.
        orders: the database of billing-app.
        broker: with the platform's topology.
        variables: what the gateway is told beside the usual.
    """
    inventory = App("inventory_app", directory / "inventory", movies.app)
    billing = make_billing_app(directory / "billing", orders, broker)
    gateway = Gateway(
        directory,
        broker.server,
        {
            "INVENTORY_SERVICE_URL": f"http://127.0.0.1:{inventory.port}",
            "BILLING_SERVICE_URL": f"http://127.0.0.1:{billing.port}",
            "RABBITMQ_USER": "api-gateway-app",
            **variables,
        },
    )
    secret = directory / "secrets" / "rabbitmq_password"
    secret.write_text(broker.passwords["api-gateway-app"])
    platform = Platform(gateway, inventory, billing, broker, movies)
    for part in (inventory, billing, gateway):
        part.start()
    gateway.wait_for_broker()
    return platform
