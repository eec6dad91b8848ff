"""The programs that read openapi.yaml, and a platform without containers for the clients that they make."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.library.apps import make_broker, make_database, running_app
from tests.library.gateway import Gateway
from tests.library.servers import PostgreSQL, RabbitMQ
from tests.openapi.tools import install


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Install Node.js, the npm packages and the generator of Python clients, if they are not there yet."""
    install()


@dataclass(frozen=True)
class Platform:
    """Where the gateway is, and the token that it asks for."""

    url: str
    token: str


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Run the three apps with real servers, as the unit tests do."""
    directory = tmp_path_factory.mktemp("platform")
    with ExitStack() as stack:
        postgresql, rabbitmq = PostgreSQL(), RabbitMQ()
        stack.callback(postgresql.destroy)
        stack.callback(rabbitmq.destroy)
        postgresql.create()
        rabbitmq.create()
        broker = make_broker(rabbitmq)
        movies, orders = (
            make_database(postgresql, name, tmp_path_factory.mktemp(name)) for name in ("movies", "orders")
        )
        movies.run_app("inventory_app", "migrate")
        orders.run_app("billing_app", "migrate")
        secret = Path(orders.app["SECRETS_DIRECTORY"]) / "rabbitmq_password"
        secret.write_text(broker.passwords["billing-app"])
        inventory = stack.enter_context(running_app("inventory_app", directory / "inventory", movies.app))
        billing = stack.enter_context(
            running_app("billing_app", directory / "billing", {**orders.app, **broker.variables})
        )
        gateway = Gateway(
            directory,
            rabbitmq,
            {
                "INVENTORY_SERVICE_URL": f"http://127.0.0.1:{inventory.port}",
                "BILLING_SERVICE_URL": f"http://127.0.0.1:{billing.port}",
            },
        )
        gateway.token_file.write_text(secrets.token_urlsafe())
        stack.callback(gateway.kill)
        gateway.start()
        gateway.wait_for_broker()
        yield Platform(f"http://127.0.0.1:{gateway.port}", gateway.token_file.read_text())
