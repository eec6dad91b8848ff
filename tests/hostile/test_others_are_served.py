"""While clients do their worst, others get their answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import requests
from tests.hostile.conftest import memory_share
from tests.library import attacks
from tests.library.api import Api
from tests.library.attacks import JSON, LARGEST, Attack, Client, attack
from tests.library.support import wait_until
from tests.node.node import Node

REQUESTS = 100
# Below this, the tests' own machine decides and not the gateway.
QUIET_FLOOR_SECONDS = 0.1
ORDER = {"user_id": "hostile", "number_of_items": 1, "total_amount": 1}

POST_ORDER = b"POST /api/billing HTTP/1.1\r\nHost: x\r\n" + JSON
POST_MOVIE = b"POST /api/movies HTTP/1.1\r\nHost: x\r\n" + JSON

ATTACKS: dict[str, tuple[Callable[[Attack], Client], int]] = {
    "2000 idle connections": (attacks.idle, 2000),
    "heads that do not end": (attacks.sends(b"GET /api/movies HTTP/1.1\r\nX-Slow: ", b"a"), 500),
    "long heads that do not end": (attacks.sends(b"GET / HTTP/1.1\r\nX: " + b"a" * 15_000, b"a"), 500),
    "bodies that do not come": (attacks.sends(POST_ORDER + b"Content-Length: 50\r\n\r\n", b""), 500),
    "bodies of a byte a second": (attacks.sends(POST_MOVIE + b"Content-Length: 50\r\n\r\n", b" "), 300),
    "chunks of a byte a second": (
        attacks.sends(POST_ORDER + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        300,
    ),
    "almost complete large bodies": (
        attacks.sends(POST_MOVIE + b"Content-Length: %d\r\n\r\n" % LARGEST + b" " * (LARGEST - 100), b""),
        # As many as it lets in: what is refused comes again at once, and a flood is another attack.
        256,
    ),
    "128 KiB bodies": (
        attacks.sends_all(POST_MOVIE + b"Content-Length: %d\r\n\r\n" % LARGEST, b" " * LARGEST),
        30,
    ),
    "50 MB bodies": (
        attacks.sends_all(POST_ORDER + b"Content-Length: 50000000\r\n\r\n", b" " * 50_000, 1000),
        10,
    ),
    "50 MB in chunks": (
        attacks.sends_all(
            POST_ORDER + b"Transfer-Encoding: chunked\r\n\r\n", b"c350\r\n" + b" " * 50_000 + b"\r\n", 1000
        ),
        10,
    ),
}
# One of each kind.
QUICK = {"2000 idle connections", "heads that do not end", "bodies that do not come", "50 MB in chunks"}


def p99(api: Api) -> float:
    """Ask and order some times, which must succeed; return the 99th percentile of the seconds it took."""
    seconds = []
    for number in range(REQUESTS):
        started = time.perf_counter()
        response = api.get("/api/movies?limit=1") if number % 10 else api.post("/api/billing", ORDER)
        seconds.append(time.perf_counter() - started)
        assert response.status_code == 200, response.text
    return sorted(seconds)[int(0.99 * REQUESTS) - 1]


def assert_others_are_served(
    api: Api, node: Node, client: Callable[[Attack], Client], clients: int
) -> list[bytes]:
    """Compare quiet and hostile times, in up to three rounds: other work on the machine slows both down.

    Returns:
        The first lines of the answers that the attackers got.
    """
    shares = []
    answers: list[bytes] = []
    for _ in range(3):
        quiet = max(p99(api), QUIET_FLOOR_SECONDS)
        with attack(api.url, client, clients) as seen:
            hostile = p99(api)
            assert memory_share(node) < 0.9
        answers += seen.answers
        shares.append(hostile / quiet)
        print(f"p99: quiet {quiet:.3f} s, under attack {hostile:.3f} s; {len(answers)} answers")
        if shares[-1] < 5:
            return answers
    pytest.fail(f"p99 under attack is {shares} times the quiet one")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.quick] if name in QUICK else []) for name in ATTACKS]
)
def test_others_are_served_meanwhile(api: Api, node: Node, name: str) -> None:
    client, clients = ATTACKS[name]
    answers = assert_others_are_served(api, node, client, clients)
    assert not [answer for answer in answers if answer.startswith(b"HTTP/1.1 2")]
    assert not [answer for answer in answers if answer.startswith(b"HTTP/1.1 500")]


def test_others_are_served_while_the_largest_page_is_read_a_byte_a_second(
    api: Api, node: Node, largest_page: str
) -> None:
    # More than the gateway has threads.
    assert_others_are_served(api, node, attacks.reads_slowly(largest_page), 40)


def test_a_body_that_comes_too_slowly_is_given_up(api: Api) -> None:
    slow_bodies = [
        (b"Content-Length: 5000\r\n\r\n", b" "),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ]
    with ExitStack() as stack:
        attackers = [
            stack.enter_context(attack(api.url, attacks.sends(start + head, drip), 1))
            for start in (POST_ORDER, POST_MOVIE)
            for head, drip in slow_bodies
        ]
        deadline = time.monotonic() + 60
        while not all(seen.answers for seen in attackers) and time.monotonic() < deadline:
            assert api.get("/health/live").status_code == 200
    for seen in attackers:
        assert seen.answers[0].startswith(b"HTTP/1.1 408 ")


def test_the_largest_page_is_whole_for_who_reads_it(api: Api, largest_page: str) -> None:
    def answer() -> requests.Response | None:
        # Who read slowly in the tests before may still have the room for large answers.
        response = api.get(largest_page, timeout=60)
        assert response.status_code in {200, 503}, response.text
        return response if response.status_code == 200 else None

    page = wait_until(answer, "the page is answered", interval=1)
    assert len(page.json()["movies"]) == 1000
    assert 168 * 1024 < len(page.content) < 192 * 1024
    assert api.get(page.json()["next"]).json().keys() == {"movies"}
