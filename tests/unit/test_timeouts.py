"""Each wait is shorter than the one outside it (docs/timeouts.md)."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from api_gateway_app import settings, slow_clients
from api_gateway_app.front import limits
from api_gateway_app.orders.publisher import Publisher
from api_gateway_app.upstream import connection, discovery, probes, relay
from inventory_app import movies
from platform_common import database, health, healthcheck, server
from platform_common.app import MAXIMUM_BODY_BYTES
from platform_common.settings import BaseSettings, Environment

ROOT = Path(__file__).parents[2]


def test_an_app_gives_up_its_database_before_the_gateway_gives_up_the_app() -> None:
    assert database.STATEMENT_SECONDS < database.ANSWER_SECONDS
    inside = database.POOL_SECONDS + database.CONNECT_SECONDS + database.ANSWER_SECONDS
    assert inside < settings.UPSTREAM_READ_SECONDS


def test_the_gateway_gives_up_an_app_before_it_gives_up_a_client() -> None:
    assert relay.TURN_SECONDS < connection.CONNECT_SECONDS < settings.UPSTREAM_READ_SECONDS
    assert settings.UPSTREAM_READ_SECONDS < slow_clients.STALLED_MILLISECONDS / 1000


def test_a_client_is_given_up_after_its_grace_and_not_before_its_first_bytes_can_have_come() -> None:
    longest = limits.GRACE_SECONDS + MAXIMUM_BODY_BYTES / limits.MINIMUM_BYTES_PER_SECOND
    assert server.HEADER_SECONDS <= limits.GRACE_SECONDS < longest < 90


def test_the_largest_page_fits_into_what_the_gateway_holds_of_an_answer() -> None:
    assert movies.PAGE_BYTES * 2 <= relay.ANSWER_BYTES


def test_a_connection_is_given_up_before_the_app_closes_it_for_being_idle() -> None:
    margin = server.HEADER_SECONDS - connection.IDLE_SECONDS
    assert margin >= 5


def test_a_replica_that_is_about_to_stop_is_out_of_rotation_before_it_closes_its_connections() -> None:
    drain = BaseSettings.read(Environment({"SERVICE_NAME": "inventory-app"})).drain_seconds
    assert drain > probes.PROBE_SECONDS * 2


def test_a_new_replica_is_found_within_five_seconds() -> None:
    assert discovery.RESOLVE_SECONDS + probes.LONGEST_PAUSE_SECONDS < 5


def test_a_replica_that_hangs_is_found_before_who_waits_for_it_gives_up() -> None:
    assert health.CHECK_SECONDS < probes.ANSWER_SECONDS
    found = probes.PROBE_SECONDS + connection.CONNECT_SECONDS + probes.ANSWER_SECONDS
    assert found * 2 <= settings.UPSTREAM_READ_SECONDS


def test_an_order_is_confirmed_or_stored_before_a_thread_is_missed() -> None:
    confirm = inspect.signature(Publisher).parameters["confirm_seconds"].default
    assert confirm < settings.UPSTREAM_READ_SECONDS


@pytest.mark.parametrize("app", ["api-gateway-app", "inventory-app", "billing-app"])
def test_each_health_check_is_shorter_than_the_one_that_asks_for_it(app: str) -> None:
    dockerfile = (ROOT / "srcs" / app / "Dockerfile").read_text()
    found = re.search(r"HEALTHCHECK .*--timeout=(\d+)s", dockerfile)
    assert found
    assert health.CHECK_SECONDS < health.OUTER_CHECK_SECONDS < healthcheck.TIMEOUT_SECONDS < int(found[1])
