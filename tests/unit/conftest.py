"""Real servers and databases for the tests of the apps; see tests/library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.library.apps import Broker, Database, make_broker, make_database
from tests.library.servers import PostgreSQL, RabbitMQ


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server for the whole run."""
    server = PostgreSQL()
    try:
        server.create()
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ server for the whole run, without exchanges, queues and further accounts."""
    server = RabbitMQ()
    try:
        server.create()
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def movies_database(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A migrated database of movies."""
    database = make_database(postgresql, "movies", tmp_path_factory.mktemp("movies"))
    database.run_app("inventory_app", "migrate")
    return database


@pytest.fixture(scope="session")
def orders_database(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A migrated database of orders."""
    database = make_database(postgresql, "orders", tmp_path_factory.mktemp("orders"))
    database.run_app("billing_app", "migrate")
    return database


@pytest.fixture(scope="session")
def broker_server(rabbitmq: RabbitMQ) -> Broker:
    """The broker with the platform's queues and the accounts of billing-app and the gateway."""
    return make_broker(rabbitmq)


@pytest.fixture
def broker(broker_server: Broker) -> Iterator[Broker]:
    """The same, with empty queues."""
    broker_server.purge()
    yield broker_server
    broker_server.purge()
