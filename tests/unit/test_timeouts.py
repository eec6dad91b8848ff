"""Each wait is shorter than the one outside it (docs/timeouts.md)."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from api_gateway_app import large_bodies, settings
from api_gateway_app.orders.publisher import Publisher
from inventory_app import movies
from platform_common import database, health, healthcheck, server
from platform_common.app import MAXIMUM_BODY_BYTES
from platform_common.settings import BaseSettings, Environment

ROOT = Path(__file__).parents[2]
PROXY = (ROOT / "srcs/api-gateway-app/haproxy.cfg").read_text()


def found(keyword: str) -> str:
    """What haproxy.cfg says behind `keyword`, which it has once."""
    [value] = re.findall(rf"^ +{keyword} (\S+)$", PROXY, re.MULTILINE)
    return str(value)


def seconds(keyword: str) -> float:
    return float(found(keyword).removesuffix("s"))


def check(option: str) -> float:
    """An option of the replicas' checks, in seconds or as a number."""
    [value] = set(re.findall(rf" check .*\b{option} (\d+)(?:ms|s|\b)", PROXY))
    return float(value) / 1000 if f"{option} {value}ms" in PROXY else float(value)


def test_an_app_gives_up_its_database_before_the_gateway_gives_up_the_app() -> None:
    assert database.STATEMENT_SECONDS < database.ANSWER_SECONDS
    inside = database.POOL_SECONDS + database.CONNECT_SECONDS + database.ANSWER_SECONDS
    assert inside < settings.UPSTREAM_READ_SECONDS


def test_the_gateway_gives_up_an_app_before_it_gives_up_a_client() -> None:
    assert seconds("timeout connect") < settings.UPSTREAM_READ_SECONDS
    assert seconds("timeout client") > settings.UPSTREAM_READ_SECONDS


def test_a_body_that_is_refused_is_taken_for_less_than_an_app_has() -> None:
    assert large_bodies.DISCARD_SECONDS < settings.UPSTREAM_READ_SECONDS


def test_the_largest_body_and_the_largest_page_fit_into_a_buffer_with_their_heads() -> None:
    room = int(found("tune.bufsize")) - 1024
    assert room >= MAXIMUM_BODY_BYTES + server.HEAD_BYTES
    assert room >= movies.PAGE_BYTES + 4096


def test_an_app_takes_the_head_that_the_gateway_lets_in() -> None:
    [limit] = set(re.findall(r"acl has_large_head .* gt (\d+)", PROXY))
    assert 2 * int(limit) <= server.HEAD_BYTES


def test_a_connection_is_given_up_long_before_the_app_closes_it_for_being_idle() -> None:
    assert seconds("default-server pool-purge-delay") * 2 < server.HEADER_SECONDS


def test_a_replica_that_is_about_to_stop_is_out_of_rotation_before_it_closes_its_connections() -> None:
    drain = BaseSettings.read(Environment({"SERVICE_NAME": "inventory-app"})).drain_seconds
    assert check("inter") + check("fastinter") * (check("fall") - 1) < drain / 2


def test_a_new_replica_is_found_within_five_seconds() -> None:
    assert seconds("hold valid") + seconds("timeout resolve") + check("rise") * check("inter") < 5


def test_a_replica_that_hangs_is_found_before_who_waits_for_it_gives_up() -> None:
    assert seconds("timeout check") > health.CHECK_SECONDS
    longest = check("inter") + check("fall") * (seconds("timeout check") + check("fastinter"))
    assert longest < settings.UPSTREAM_READ_SECONDS


def test_an_order_is_confirmed_or_stored_before_a_thread_is_missed() -> None:
    confirm = inspect.signature(Publisher).parameters["confirm_seconds"].default
    assert confirm < settings.UPSTREAM_READ_SECONDS


def test_each_health_check_is_shorter_than_the_one_that_asks_for_it() -> None:
    dockerfile = (ROOT / "srcs/common/Dockerfile").read_text()
    found = re.search(r"HEALTHCHECK .*--timeout=(\d+)s", dockerfile)
    assert found
    assert health.CHECK_SECONDS < health.OUTER_CHECK_SECONDS < healthcheck.TIMEOUT_SECONDS < int(found[1])
