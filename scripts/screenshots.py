"""Takes the pictures of the page for README.md and docs/page.md, from a running platform, into docs/images.

It stops billing-app for some seconds, and places orders, which stay.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from watch import address

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = ROOT / "docs/images"
# The charts have a shape by then.
WARM_SECONDS: Final = 150
# Operations of Ansible take some seconds.
PATIENCE_MS: Final = 120_000
QUEUED: Final = 12
# Up alone may be a moment too early: a replica with an address counts as up until its first check has ended.
RECOVERED: Final = ".map:has(#box-billing-app[data-status=up]):not(:has(.waiting rect.full))"
FRAME_SECONDS: Final = 0.15
LONGEST_SECONDS: Final = 0.5
BEFORE_SECONDS: Final = 2.0
AFTER_SECONDS: Final = 5.0
WIDTH: Final = 900
ORDER: Final = {"user_id": "20", "number_of_items": "1", "total_amount": "9.90"}


@dataclass(frozen=True)
class Frame:
    """A picture of the map, and when it was taken."""

    at: float
    png: bytes


def scenes(frames: Sequence[Frame], moments: Sequence[float]) -> list[Frame]:
    """Return the frames around some moments: what happens between them is waiting."""
    return [
        frame
        for frame in frames
        if any(moment - BEFORE_SECONDS <= frame.at <= moment + AFTER_SECONDS for moment in moments)
    ]


def durations(frames: Sequence[Frame]) -> list[float]:
    """Return how long each frame is shown: until the next one, but not for the time that was left out."""
    gaps = [later.at - frame.at for frame, later in itertools.pairwise(frames)]
    return [min(gap, LONGEST_SECONDS) for gap in gaps] + [LONGEST_SECONDS]


class Trouble(Exception):
    """The pictures cannot be taken. The message is for the user."""


class Operation:
    """An operation on billing-app, which goes on meanwhile."""

    def __init__(self, target: str) -> None:
        # A pipe: Playwright makes our own output non-blocking, which Ansible refuses.
        self._process = subprocess.Popen(
            ["make", target, "SERVICE=billing-app"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check(self) -> None:
        """Raise Trouble, with all that it said, if it has failed."""
        if self._process.poll():
            raise Trouble(self._process.communicate()[0])

    def end(self) -> None:
        """Wait until it has ended."""
        self._process.wait()


class Film:
    """Pictures of an element, taken while one waits for something."""

    def __init__(self, page: Page, selector: str) -> None:
        self._page = page
        self._element = page.locator(selector)
        # Playwright's own pictures wait for calm first, and there is none.
        self._browser = page.context.new_cdp_session(page)
        self.frames: list[Frame] = []

    def until(self, selector: str, operation: Operation) -> float:
        """Take pictures until an operation has brought such an element about; returns when."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self._page.locator(selector).count():
            operation.check()
            if time.monotonic() > deadline:
                raise Trouble(f"The page has not shown {selector}.")
            self._take()
        return time.monotonic()

    def go_on(self, seconds: float) -> None:
        """Take pictures for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._take()

    def _box(self) -> dict[str, Any]:
        return dict(self._element.bounding_box() or {})

    def _take(self) -> None:
        at = time.monotonic()
        options = {"format": "png", "optimizeForSpeed": True, "clip": {**self._box(), "scale": 1}}
        taken = self._browser.send("Page.captureScreenshot", options)
        self.frames.append(Frame(at, base64.b64decode(taken["data"])))
        time.sleep(max(0, at + FRAME_SECONDS - time.monotonic()))


@contextmanager
def load(url: str) -> Iterator[None]:
    """Read movies, and place an order a second, until the end of the block."""
    over = threading.Event()
    session = requests.Session()
    # A proxy of the environment is no part of the platform.
    session.trust_env = False

    def run() -> None:
        turn = 0
        while not over.wait(0.2):
            turn += 1
            if turn % 5:
                session.get(f"{url}/api/movies?limit=20", timeout=30)
            else:
                session.post(f"{url}/api/billing", json=ORDER, timeout=30)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def open_map(browser: Browser, url: str, **options: Any) -> Page:
    """Open the page's map, when all is known and up."""
    settings: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options}
    page = browser.new_context(**settings).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    expect(page.locator(".map .box[data-status=up]")).to_have_count(6, timeout=PATIENCE_MS)
    return page


def save(png: bytes, name: str) -> None:
    """Write a picture with few colours, which is small."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(128)
    picture.save(IMAGES / name, optimize=True)


def save_film(frames: Sequence[Frame], name: str) -> None:
    """Write an animation that goes on for ever."""
    taken = [Image.open(io.BytesIO(frame.png)).convert("RGB") for frame in frames]
    # A box with a reason is higher than one without.
    width, height = taken[0].width, max(picture.height for picture in taken)
    pictures = []
    for picture in taken:
        sheet = Image.new("RGB", (width, height), picture.getpixel((0, 0)))
        sheet.paste(picture)
        pictures.append(sheet.resize((WIDTH, height * WIDTH // width)))
    pictures[0].save(
        IMAGES / name,
        save_all=True,
        append_images=pictures[1:],
        duration=[round(seconds * 1000) for seconds in durations(frames)],
        loop=0,
        quality=75,
        method=6,
    )


def take_all(browser: Browser, url: str) -> None:
    """Take all pictures."""
    page = open_map(browser, url)
    phone = open_map(
        browser,
        url,
        viewport={"width": 390, "height": 844},
        locale="fr-FR",
        color_scheme="dark",
        device_scale_factor=2,
    )
    time.sleep(WARM_SECONDS)
    save(page.screenshot(), "page.png")
    save(phone.screenshot(), "page-phone.png")
    phone.context.close()

    page.locator("table button").first.click()
    expect(page.locator("[data-step=stored].done")).to_be_visible()
    save(page.locator(".two").screenshot(), "page-order.png")

    page.evaluate("scrollTo(0, 0)")
    film = Film(page, "section[aria-labelledby=map-title]")
    stop = Operation("stop")
    try:
        stopped_at = film.until("#box-billing-app[data-status=down]", stop)
        film.go_on(AFTER_SECONDS)
        film.until(f".waiting rect.full:nth-child({QUEUED})", stop)
        save(page.screenshot(), "page-stopped.png")
    finally:
        # One operation at a time.
        stop.end()
        start = Operation("start")
    started_at = film.until(RECOVERED, start)
    film.go_on(AFTER_SECONDS)
    start.end()
    start.check()
    save_film(scenes(film.frames, (stopped_at, started_at)), "page.webp")


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; returns the exit code."""
    port = os.environ.get("GATEWAY_PORT", "3000")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", type=address, default=f"http://localhost:{port}", help="where the gateway is"
    )
    url = parser.parse_args(arguments).url
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("The pictures need Chromium: apt-get install chromium.", file=sys.stderr)
        return 1
    try:
        requests.get(f"{url}/health/live", timeout=10).raise_for_status()
    except requests.RequestException as error:
        print(
            f"No platform answers at {url}. Start it with make up, or name another. ({error})",
            file=sys.stderr,
        )
        return 1
    IMAGES.mkdir(exist_ok=True)
    try:
        with sync_playwright() as playwright, load(url):
            # As root, as in a container, Chromium has no sandbox of its own.
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            take_all(browser, url)
            browser.close()
    except Trouble as error:
        print(error, file=sys.stderr)
        return 1
    for picture in sorted(IMAGES.iterdir()):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
