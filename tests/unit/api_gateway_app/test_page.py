"""The page's files, and its feed."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import signal
import time
from contextlib import ExitStack

import psutil
import pytest
from tests.library.apps import Broker
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.feed_reader import open_feed
from tests.library.gateway import Gateway, StartGateway
from tests.library.support import wait_until

KILOBYTE = 1000


@pytest.fixture(scope="module")
def gateway(start_shared_gateway: StartGateway, shared_upstream: FaultyUpstream) -> Gateway:
    return start_shared_gateway(BILLING_SERVICE_URL=shared_upstream.url)


def addresses(gateway: Gateway) -> list[str]:
    home = gateway.request("GET", "/").body.decode()
    linked = re.findall(r'(?:src|href)="(/page/[^"]+)"', home)
    version = linked[0].rsplit("/", 1)[0]
    return [*linked, f"{version}/text/en.js", f"{version}/text/fr.js"]


def test_the_page_loads_from_and_talks_to_this_site_only(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/")
    assert answer.status == 200
    policy = answer.header("Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    page = answer.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|\bstyle=|\bon\w+=|https?://", page)


def test_it_is_small_over_the_wire(gateway: Gateway) -> None:
    accept = {"Accept-Encoding": "gzip"}
    answers = [gateway.request("GET", path, headers=accept) for path in ("/", *addresses(gateway))]
    assert {answer.status for answer in answers} == {200}
    assert {answer.header("Content-Encoding") for answer in answers} == {"gzip"}
    assert sum(len(answer.body) for answer in answers) < 150 * KILOBYTE


def test_who_takes_no_compressed_files_gets_the_same(gateway: Gateway) -> None:
    for path in ("/", *addresses(gateway)):
        compressed = gateway.request("GET", path, headers={"Accept-Encoding": "gzip"})
        assert gateway.request("GET", path).body == gzip.decompress(compressed.body)
        assert compressed.header("Vary") == "Accept-Encoding"


def test_a_browser_keeps_the_files_and_asks_for_the_page_alone(gateway: Gateway) -> None:
    home = gateway.request("GET", "/")
    assert home.header("Cache-Control") == "no-cache"
    again = gateway.request("GET", "/", headers={"If-None-Match": home.header("ETag") or ""})
    assert (again.status, again.body) == (304, b"")
    for path in addresses(gateway):
        assert "immutable" in (gateway.request("GET", path).header("Cache-Control") or "")


def test_a_file_of_another_version_is_not_kept(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/page/0123456789ab/app.js")
    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2froutes.py", "%2e%2e/routes.py", "text"])
def test_nothing_else_is_served_beside_them(gateway: Gateway, name: str) -> None:
    assert gateway.request("GET", f"/page/0/{name}").status == 404


@pytest.mark.parametrize("path", ["/", "/feed", "/page/0/app.js"])
def test_a_wrong_method_is_refused(gateway: Gateway, path: str) -> None:
    answer = gateway.request("POST", path, {})
    assert answer.status == 405
    assert "GET" in (answer.header("Allow") or "")
    assert gateway.request("HEAD", path).status == 200


def test_the_feed_tells_how_the_services_are(gateway: Gateway, shared_upstream: FaultyUpstream) -> None:
    with open_feed(gateway) as feed:
        assert feed.status == 200
        assert feed.headers["content-type"] == "text/event-stream"
        assert feed.headers["cache-control"] == "no-store"
        feed.wait_for("state", lambda state: state["services"]["inventory-app"]["status"] == "up")
        shared_upstream.health = "unready"
        try:
            state = feed.wait_for("state", lambda state: state["services"]["billing-app"]["status"] == "down")
            assert "503" in state["services"]["billing-app"]["reason"]
        finally:
            shared_upstream.health = "ready"
        feed.wait_for("state", lambda state: state["services"]["billing-app"]["status"] == "up")


@pytest.mark.usefixtures("topology")
def test_the_feed_tells_what_waits_and_that_the_broker_does_not_answer(
    gateway: Gateway, topology: Broker
) -> None:
    with open_feed(gateway) as feed:
        feed.wait_for("state", lambda state: state["waiting"] == 0)
        gateway.post_order()
        feed.wait_for("state", lambda state: state["waiting"] == 1)
        topology.take()
        feed.wait_for("state", lambda state: state["waiting"] == 0)
        topology.server.pause()
        state = feed.wait_for("state", lambda state: state["services"]["rabbitmq"]["status"] == "down")
        assert state["waiting"] is None
        topology.server.resume()
        feed.wait_for("state", lambda state: state["services"]["rabbitmq"]["status"] == "up")


@pytest.mark.usefixtures("topology")
def test_the_feed_tells_each_order_without_giving_it_away(gateway: Gateway) -> None:
    wait_until(lambda: gateway.metric('publishers{state="ready"}') == 1, "the broker is connected")
    with open_feed(gateway) as feed:
        feed.wait_for("state")
        answer = gateway.request(
            "POST",
            "/api/billing",
            {"user_id": "20", "number_of_items": "1", "total_amount": "3"},
            {"X-Request-ID": "of-the-feed"},
        )
        assert [name for name in answer.headers if name.lower().startswith("x-order")] == []
        order_id = answer.json()["order_id"]
        order = feed.wait_for("order", lambda order: order["request_id"] == "of-the-feed")
        assert order["id"] == order_id[:8]
        assert order["accepted"] <= order["confirmed"] <= time.time()
        assert order["kept"] is None


@pytest.mark.usefixtures("topology")
def test_an_order_that_is_kept_is_followed_until_it_is_handed_over(
    gateway: Gateway, topology: Broker
) -> None:
    topology.server.pause()
    order_id = gateway.post_order().json()["order_id"]
    with open_feed(gateway, f"?order={order_id}") as feed:
        kept = feed.wait_for("order", lambda order: order["id"] == order_id[:8])
        assert kept["kept"] is not None
        assert (kept["confirmed"], kept["handed_over"]) == (None, None)
        feed.wait_for("state", lambda state: state["kept"] >= 1)
        topology.server.resume()
        order = feed.wait_for(
            "order", lambda order: order["id"] == order_id[:8] and order["handed_over"] is not None
        )
        assert order["handed_over"] > order["kept"]


def test_requests_for_the_page_are_no_traffic(gateway: Gateway) -> None:
    paths = ["/", *addresses(gateway)]
    with open_feed(gateway) as feed:
        # What other tests asked for is told by then.
        gateway.request("GET", "/api/movies")
        feed.wait_for("traffic", lambda kinds: "movies" in kinds)
        for path in paths:
            gateway.request("GET", path)
        gateway.request("GET", "/api/movies")
        assert feed.wait_for("traffic") == {"movies": 1}


def test_two_hundred_pages_are_served_and_one_more_is_told_why_not(gateway: Gateway) -> None:
    wait_until(lambda: open_pages(gateway) == 0, "the pages of other tests are closed")
    with ExitStack() as stack:
        pages = [stack.enter_context(open_feed(gateway)) for _ in range(200)]
        assert {page.status for page in pages} == {200}
        for page in pages:
            page.wait_for("state")
        refused = stack.enter_context(open_feed(gateway))
        assert refused.status == 503
        assert "200 pages" in refused.body.decode()
        # They hold no thread: others are served, all of them at once.
        assert gateway.request("GET", "/api/movies").status == 200
        assert gateway.request("GET", "/openapi.json").status == 200
        process = psutil.Process(gateway.process_id)
        assert process.num_threads() < 30
    wait_until(lambda: open_pages(gateway) == 0, "closed pages make room")


def open_pages(gateway: Gateway) -> int:
    """Return how many pages the proxy counts."""
    [row] = csv.DictReader(io.StringIO(gateway.proxy.ask("show stat feed 2 -1").removeprefix("# ")))
    return int(row["scur"])


def feed_status(gateway: Gateway) -> int:
    with open_feed(gateway) as feed:
        return feed.status


def test_a_page_that_reads_nothing_is_let_go(gateway: Gateway) -> None:
    """It costs memory only up to a bound; nobody else notices it."""
    with open_feed(gateway) as silent, open_feed(gateway) as feed:
        assert silent.status == 200
        for _ in range(50):
            gateway.request("GET", "/api/movies")
        feed.wait_for("traffic")


@pytest.mark.parametrize("query", ["?order=", "?order=%00", "?order=../../x", "?order=" + "a" * 4000, "?a=b"])
def test_a_query_that_is_no_order_changes_nothing(gateway: Gateway, query: str) -> None:
    with open_feed(gateway, query) as feed:
        assert feed.wait_for("state")


def test_the_pages_end_when_the_gateway_begins_to_stop(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1", DRAIN_SECONDS="3")
    wait_until(lambda: feed_status(gateway) == 200, "the feed is there")
    with open_feed(gateway) as feed:
        feed.wait_for("state")
        os.kill(gateway.process_id, signal.SIGTERM)
        told_at = time.monotonic()
        feed.wait_for_end()
        assert time.monotonic() - told_at < 2.5
        assert gateway.wait() == 0
        assert time.monotonic() - told_at < 6


def test_a_rate_limit_lets_the_page_through(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1", RATE_LIMIT="5")
    paths = addresses(gateway)
    assert {gateway.request("GET", path).status for path in paths} == {200}
    assert gateway.request("GET", "/").status == 200
    # But not without end.
    assert 429 in {gateway.request("GET", paths[0]).status for _ in range(300)}


def test_it_can_be_switched_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1", PAGE="false")
    answer = gateway.request("GET", "/")
    assert (answer.status, answer.header("Location")) == (302, "/docs")
    assert gateway.request("GET", "/feed").status == 404
    assert gateway.request("GET", "/page/0/app.js").status == 404
    assert "the page's feed" not in gateway.output
