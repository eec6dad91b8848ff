"""Shows the platform live in a terminal, as its page does: both read the gateway's feed (docs/page.md).

Ends with Ctrl-C. Where the output is no terminal, it prints how the platform is, once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

# Something comes every two seconds.
SILENT_SECONDS: Final = 6
PAUSE_SECONDS: Final = 1.0
# So long after the start each service has been looked at.
SNAPSHOT_SECONDS: Final = 5.0
POINTS: Final = 120
CHART_WIDTH: Final = 40
ORDERS: Final = 12
BARS: Final = "▁▂▃▄▅▆▇█"
STATUS: Final = {"up": ("●", "green"), "down": ("○", "bold red"), "unknown": ("·", "dim")}
NUMBERS: Final = {
    "rate": "Requests per second",
    "p99": "99 % answered within (ms)",
    "waiting": "Waiting in the queue",
    "kept": "Kept on the gateway",
    "dead_letters": "Dead letters",
}
STEPS: Final = {
    "stored": "stored",
    "left_queue": "delivered",
    "handed_over": "handed over",
    "confirmed": "confirmed",
    "kept": "kept on the gateway",
    "accepted": "accepted",
}


class NoFeed(Exception):
    """There is none, and there will be none. The message is a sentence for the user."""


class Platform:
    """What the feed has told.

    Attributes:
        trouble: why it tells nothing now, as a sentence; nothing while it does.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.trouble = "Waiting for the gateway…"
        self._state: dict[str, Any] = {"services": {}, "candidates": []}
        self._names: list[str] = []
        self._points: deque[list[float | None]] = deque(maxlen=POINTS)
        self._orders: dict[str, dict[str, Any]] = {}

    @property
    def is_known(self) -> bool:
        """Whether the state of every service is known."""
        services = self._state["services"].values()
        return bool(services) and all(service["status"] != "unknown" for service in services)

    def take(self, name: str, data: Any) -> None:
        """Note an event of the feed."""
        self.trouble = ""
        if name == "state":
            self._state = data
        elif name == "history":
            self._names = data["of"]
            self._points = deque(data["points"], POINTS)
        elif name == "point":
            self._points.append(data)
        elif name == "order":
            self._orders[data["id"]] = data
            newest = sorted(self._orders.values(), key=lambda order: order["accepted"] or 0, reverse=True)
            self._orders = {order["id"]: order for order in newest[:ORDERS]}

    def __rich__(self) -> RenderableType:
        # No markup: a request id is what a client wrote.
        head = Text.assemble(("Play with Containers", "bold"), f"  {self.url}  ", self._sentence())
        space = Text()
        return Group(head, space, self._services(), space, self._numbers(), space, self._recent_orders())

    def _sentence(self) -> Text:
        if self.trouble:
            return Text(self.trouble, "bold yellow")
        down = [name for name, service in self._state["services"].items() if service["status"] == "down"]
        return Text(f"Down: {', '.join(down)}.", "bold red") if down else Text("Everything is up.", "green")

    def _services(self) -> Table:
        table = _table("Service", "", "Replicas", "")
        for name, service in self._state["services"].items():
            sign, style = STATUS["unknown" if self.trouble else service["status"]]
            replicas = service["replicas"]
            count = f"{sum(replicas)} of {len(replicas)}" if len(replicas) > 1 else ""
            trial = "a new version is being tried" if name in self._state["candidates"] else ""
            table.add_row(
                name, Text(f"{sign} {service['status']}", style), count, Text(service["reason"] or trial)
            )
        return table

    def _numbers(self) -> Table:
        table = _table("The last ten minutes", "Now", "Highest", "")
        table.columns[1].justify = table.columns[2].justify = "right"
        for name, label in NUMBERS.items():
            values = [point[self._names.index(name)] for point in self._points]
            # What the state tells is newer.
            now = self._state.get(name, values[-1] if values else None)
            highest = max((value for value in values if value is not None), default=None)
            table.add_row(label, _number(now), _number(highest), Text(_chart(values), "cyan"))
        return table

    def _recent_orders(self) -> Table:
        table = _table("Recent order", "Accepted", "Last step", "Request id")
        for order in self._orders.values():
            step = next(text for step, text in STEPS.items() if order[step] is not None)
            accepted = order["accepted"]
            at = f"{datetime.fromtimestamp(accepted).astimezone():%H:%M:%S}" if accepted else ""
            table.add_row(order["id"], at, step, Text(order["request_id"]))
        return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _chart(values: list[float | None]) -> str:
    """Draw the newest values, each as high as it is; what is not known is a gap."""
    shown = values[-CHART_WIDTH:]
    highest = max(1, *(value or 0 for value in shown)) if shown else 1
    bars = (" " if value is None else BARS[round(value / highest * (len(BARS) - 1))] for value in shown)
    return "".join(bars)


def events(url: str) -> Iterator[tuple[str, Any]]:
    """Give each event of the feed until it ends: its name and its data.

    Raises:
        OSError, HTTPException: the gateway does not answer, or is silent.
        NoFeed: it answers, and has no feed.
    """
    # A proxy of the environment is no part of the platform.
    opener = build_opener(ProxyHandler({}))
    try:
        response = opener.open(f"{url}/feed", timeout=SILENT_SECONDS)
    except HTTPError as error:
        if error.code == 404:
            raise NoFeed(
                f"The gateway at {url} has no feed: its page is switched off (docs/page.md)."
            ) from error
        raise
    with response:
        if response.headers.get_content_type() != "text/event-stream":
            raise NoFeed(f"What answers at {url} is not this platform's gateway. Name it with URL=….")
        name = ""
        for line in response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def follow(platform: Platform) -> Iterator[None]:
    """Keep `platform` up to date, for ever, also when the gateway was away; gives after each change."""
    while True:
        try:
            for name, data in events(platform.url):
                platform.take(name, data)
                yield
            platform.trouble = "The gateway has closed the feed. Trying again…"
        except HTTPError as error:
            platform.trouble = _said(error)
        except (OSError, HTTPException) as error:
            platform.trouble = (
                f"The gateway does not answer: {getattr(error, 'reason', error)}. Trying again…"
            )
        yield
        time.sleep(PAUSE_SECONDS)


def _said(error: HTTPError) -> str:
    """Return what the gateway says of a refusal."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The gateway answers {error.code}. Trying again…"


def watch(platform: Platform, console: Console) -> None:
    """Show it until Ctrl-C."""
    with Live(platform, console=console, screen=True, auto_refresh=False) as live:
        for _ in follow(platform):
            live.refresh()


def snapshot(platform: Platform, console: Console) -> int:
    """Print it once, when all of it is known; returns the exit code."""
    until = time.monotonic() + SNAPSHOT_SECONDS
    for _ in follow(platform):
        if platform.trouble or platform.is_known or time.monotonic() > until:
            break
    if platform.trouble:
        print(f"{platform.url}: {platform.trouble.removesuffix(' Trying again…')}", file=sys.stderr)
        return 1
    console.print(platform)
    return 0


def address(text: str) -> str:
    """Return the address of a gateway without a slash at its end; for argparse."""
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as http://localhost:3000.")
    return text.rstrip("/")


def main(arguments: list[str] | None = None) -> int:
    """Show the platform; returns the exit code."""
    port = os.environ.get("GATEWAY_PORT", "3000")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url",
        type=address,
        default=f"http://localhost:{port}",
        help="where the gateway is (default: localhost)",
    )
    platform = Platform(parser.parse_args(arguments).url)
    console = Console()
    try:
        if not console.is_terminal or console.is_dumb_terminal:
            return snapshot(platform, console)
        watch(platform, console)
    except NoFeed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # How one leaves it.
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
