"""What the tests of a running platform share. The unit tests of the apps have their own in `unit/`."""

from __future__ import annotations

import os

import pytest
from tests.library.api import Api
from tests.library.management_page import ManagementPage
from tests.library.settings import ENV_FILE, MANAGEMENT_URL, PLATFORM_URL, Secrets, load_env


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "destructive: deletes what others stored; runs only where PLATFORM_DESTRUCTIVE=1",
        "quick: runs in `make test` too, in a folder whose tests take long",
        "recovery: stops or kills containers of the platform; runs after all others",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("recovery") is not None)
    if os.environ.get("PLATFORM_DESTRUCTIVE") == "1":
        return
    skip = pytest.mark.skip(reason="destructive: set PLATFORM_DESTRUCTIVE=1 on a platform made for tests")
    for item in items:
        if item.get_closest_marker("destructive"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def platform_url() -> str:
    """Where the gateway is reached from outside, without a trailing slash."""
    return PLATFORM_URL


@pytest.fixture(scope="session")
def env() -> Secrets:
    """The installation's `.env`."""
    return load_env(ENV_FILE)


@pytest.fixture(scope="session")
def api(platform_url: str) -> Api:
    """The public API."""
    return Api(platform_url)


@pytest.fixture(scope="session")
def page(env: dict[str, str]) -> ManagementPage:
    """The broker's management page, as the administrator."""
    return ManagementPage(MANAGEMENT_URL, env["RABBITMQ_DEFAULT_USER"], env["RABBITMQ_DEFAULT_PASS"])
