"""The app in this process, on a real database."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.library.apps import Database

from inventory_app.app import create_app
from inventory_app.settings import Settings
from platform_common.settings import Environment


@pytest.fixture(scope="session")
def app(movies_database: Database) -> Flask:
    variables = {"SERVICE_NAME": "inventory-app", **movies_database.app}
    return create_app(Settings.read(Environment(variables)))


@pytest.fixture
def database(movies_database: Database) -> Database:
    movies_database.execute("TRUNCATE movies RESTART IDENTITY")
    return movies_database


@pytest.fixture
def client(app: Flask, database: Database) -> FlaskClient:
    """A client of the app with an empty table."""
    assert database.execute("SELECT count(*) FROM movies") == [(0,)]
    return app.test_client()
