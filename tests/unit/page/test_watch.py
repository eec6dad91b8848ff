"""`make watch`: what the page shows, in a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.library.page_platform import Platform
from tests.library.programs import attempt
from tests.library.settings import ROOT
from tests.library.support import wait_until

ORDER = {"user_id": "20", "number_of_items": "1", "total_amount": "3"}
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def command(url: str) -> list[str]:
    return [sys.executable, str(ROOT / "scripts/watch.py"), "--url", url]


def once(url: str) -> subprocess.CompletedProcess[str]:
    """Run it without a terminal."""
    return attempt(*command(url), env={**os.environ, "COLUMNS": "140"})


class Terminal:
    """A terminal in which it runs."""

    def __init__(self, url: str) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
        self.process = subprocess.Popen(
            command(url), env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._text = ""
        self._seen = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while part := os.read(self._master, 65536):
                self._text += CODES.sub("", part.decode("utf-8", "replace"))
        except OSError:
            # Its end: Linux says EIO.
            return

    def wait_for(self, text: str) -> None:
        """Wait until it shows a text that it has not shown since the last call."""
        wait_until(lambda: self._text.find(text, self._seen) >= 0, f"the terminal shows: {text}", 30)
        self._seen = self._text.rfind(text) + len(text)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(platform: Platform) -> Iterator[Terminal]:
    terminal = Terminal(platform.url)
    yield terminal
    terminal.close()


def test_a_pipe_gets_the_state_once(platform: Platform) -> None:
    # Neither a colour nor a link for a terminal.
    headers = {"X-Request-ID": "[red]mine[/red]"}
    order_id = platform.gateway.request("POST", "/api/billing", ORDER, headers).json()["order_id"]
    done = once(platform.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything is up." in done.stdout
    for name in ("inventory-app", "inventory-database", "billing-app", "billing-database", "rabbitmq"):
        assert re.search(rf"^{name} +● up", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^Waiting in the queue +\d", done.stdout, re.MULTILINE)
    assert re.search(rf"^{order_id[:8]} +\d\d:\d\d:\d\d .*\[red\]mine\[/red\]", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_it_is_live_says_that_the_gateway_is_away_and_recovers(
    platform: Platform, terminal: Terminal
) -> None:
    terminal.wait_for("Everything is up.")
    platform.billing.stop()
    try:
        terminal.wait_for("Down: billing-app")
        order_id = platform.gateway.post_order().json()["order_id"]
        terminal.wait_for(order_id[:8])
    finally:
        platform.billing.start()
    terminal.wait_for("Everything is up.")
    terminal.wait_for("stored")
    platform.gateway.kill()
    try:
        terminal.wait_for("The gateway does not answer")
    finally:
        platform.gateway.start()
    terminal.wait_for("Everything is up.")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.process.wait(10) == 0


def test_a_gateway_that_is_away_is_told_to_a_pipe_too(platform: Platform) -> None:
    platform.gateway.kill()
    try:
        done = once(platform.url)
    finally:
        platform.gateway.start()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{platform.url}: The gateway does not answer: [Errno 111] Connection refused.\n"


def test_what_has_no_feed_is_not_asked_again(platform: Platform) -> None:
    url = f"http://127.0.0.1:{platform.inventory.port}"
    done = once(url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"The gateway at {url} has no feed: its page is switched off (docs/page.md).\n"


def test_what_is_no_gateway_is_told_apart() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    done = once(f"http://127.0.0.1:{server.server_port}/")
    thread.join()
    server.server_close()
    assert done.returncode == 1
    assert "is not this platform's gateway. Name it with URL=…." in done.stderr


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://localhost", "http://", "http://localhost:http"])
def test_what_is_no_address_is_refused(url: str) -> None:
    done = once(url)
    assert done.returncode == 2
    assert f"{url!r} is no address such as http://localhost:3000." in done.stderr
