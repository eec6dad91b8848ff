"""billing-app on a real database and a real broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.library.apps import Broker, Database, RunningApp, StartApp, running_app

from billing_app.consumer import Consumer
from billing_app.dead_letters import DeadLetters
from billing_app.properties import tolerate_unreadable_headers
from billing_app.repository import Orders
from billing_app.settings import Settings
from billing_app.state import ConsumerState
from platform_common.database import make_engine
from platform_common.settings import Environment


@pytest.fixture
def database(orders_database: Database) -> Database:
    orders_database.execute("TRUNCATE orders")
    return orders_database


@pytest.fixture
def variables(database: Database, broker: Broker, tmp_path: Path) -> dict[str, str]:
    """What an app is told: the accounts that Ansible gives it, and their secrets."""
    secrets_directory = tmp_path / "secrets"
    secrets_directory.mkdir()
    password = (Path(database.app["SECRETS_DIRECTORY"]) / "database_password").read_text()
    (secrets_directory / "database_password").write_text(password)
    (secrets_directory / "rabbitmq_password").write_text(broker.passwords["billing-app"] + "\n")
    return {
        "SERVICE_NAME": "billing-app",
        **database.app,
        **broker.variables,
        "SECRETS_DIRECTORY": str(secrets_directory),
    }


@pytest.fixture
def app_settings(variables: dict[str, str]) -> Settings:
    return Settings.read(Environment(variables))


@pytest.fixture
def engine(app_settings: Settings) -> Iterator[Engine]:
    engine = make_engine(app_settings.database, "test", pool_size=2, isolation_level="READ COMMITTED")
    yield engine
    engine.dispose()


@pytest.fixture
def orders(engine: Engine) -> Orders:
    return Orders(engine)


@pytest.fixture
def consuming(app_settings: Settings, orders: Orders) -> Iterator[ConsumerState]:
    """A consumer in a thread, until the end of the test."""
    state = ConsumerState()
    tolerate_unreadable_headers()
    consumer = Consumer(app_settings, orders, DeadLetters(app_settings.broker), state)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    yield state
    consumer.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def start(variables: dict[str, str], tmp_path: Path) -> StartApp:
    """Start whole apps; further variables go over the usual ones."""
    numbers = iter(range(10))

    @contextmanager
    def start(**further: str) -> Iterator[RunningApp]:
        directory = tmp_path / f"app-{next(numbers)}"
        with running_app("billing_app", directory, variables | further) as app:
            yield app

    return start
