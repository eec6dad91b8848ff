"""A browser, and a platform for it. Without Debian's Chromium these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.library.apps import Broker, Database
from tests.library.page_platform import Platform, start_platform

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

OpenPage = Callable[..., Any]
"""What the fixture `open_page` gives: takes a view and options of the browser, returns Playwright's page."""


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory,
    movies_database: Database,
    orders_database: Database,
    broker_server: Broker,
) -> Iterator[Platform]:
    """A platform with no movies, no orders and empty queues."""
    broker_server.make_queues()
    movies_database.execute("TRUNCATE movies RESTART IDENTITY")
    directory = tmp_path_factory.mktemp("page")
    platform = start_platform(directory, movies_database, orders_database, broker_server, {})
    yield platform
    platform.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("The tests of the page need Chromium: apt-get install chromium.")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        # As root, as in a container, Chromium has no sandbox of its own.
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(platform: Platform, browser: Any) -> Iterator[OpenPage]:
    """Open the page. An error of its scripts, or of its Content-Security-Policy, fails the test."""
    troubles: list[str] = []
    contexts = []

    def note(message: Any) -> None:
        # What a browser says of an answer such as 404 is no error of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            troubles.append(message.text)

    def open_page(view: str = "map", **options: Any) -> Any:
        context = browser.new_context(
            **{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"a script said: {dialog.message}"))
        page.goto(f"{platform.url}/#{view}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
