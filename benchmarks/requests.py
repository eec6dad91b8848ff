"""Requests: each kind, by the platform and by what stands beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from benchmarks.loads import Load, compare, put_on
from benchmarks.machine import Machine, result, wait_until
from benchmarks.twins import Twins

GATEWAY: Final = "http://api-gateway-app:3000"
# The ways to the movies. nginx does the gateway's hop and nothing else.
HOPS: Final = {
    "gateway": GATEWAY,
    "nginx": "http://nginx:3000",
    "nginx with a log": "http://nginx:3001",
    "inventory-app alone": "http://inventory-app:8080",
    "afternoon": "http://afternoon-gateway:3000",
}
# The ways of an order.
DESKS: Final = {
    "gateway": GATEWAY,
    "without publishing": "http://gateway-without-publishing:3000",
    "afternoon": HOPS["afternoon"],
}
MOVIE: Final = json.dumps({"title": "A movie", "description": "For the benchmark."})
ORDER: Final = json.dumps({"user_id": "20", "number_of_items": "99", "total_amount": "250"})
CONNECTIONS: Final = (1, 8, 32, 128)
IN_FLIGHT: Final = 64
MOST_REPLICAS: Final = 3
THOUSAND: Final = 1000
MILLION: Final = 1_000_000
# Three of the titles have it, however many there are.
SEARCHED: Final = "zanzibar"
Figures = dict[str, dict[str, Any]]


def _loads(ways: Mapping[str, str], like: Load) -> dict[str, Load]:
    """Send the same along several ways; `like.url` is the path."""
    return {name: replace(like, url=base + like.url) for name, base in ways.items()}


def prepare_movies(twins: Twins, number: int = 3) -> None:
    """Have so many movies in both databases: "Movie 1" and so on, and three that are searched for."""
    for database in ("movies", "afternoon"):
        twins.query("inventory-database", database, "TRUNCATE movies RESTART IDENTITY")
        twins.query(
            "inventory-database",
            database,
            "INSERT INTO movies (title, description) SELECT "  # noqa: S608 (all of it is ours)
            f"CASE WHEN n % {number // 3} = 0 THEN 'From {SEARCHED.title()}' "
            "ELSE left(md5(n::text), 12) END, "
            f"'For the benchmark.' FROM generate_series(1, {number}) AS n",
        )
        twins.query("inventory-database", database, "ANALYZE movies")


def movies(twins: Twins, *, rounds: int, seconds: float) -> dict[str, Figures]:
    """Reading three movies, and one; searching among a thousand and a million; creating one."""
    read = {
        "list": compare(twins, _loads(HOPS, Load("/api/movies")), rounds=rounds, seconds=seconds),
        "one movie": compare(twins, _loads(HOPS, Load("/api/movies/1")), rounds=rounds, seconds=seconds),
    }
    direct = {name: base for name, base in HOPS.items() if "nginx" not in name}
    # A search without an index takes seconds: one connection, so that none is waited for.
    search = Load(f"/api/movies?title={SEARCHED}", connections=1)
    found = {}
    for number in (THOUSAND, MILLION):
        prepare_movies(twins, number)
        found[f"search among {number:,}"] = compare(
            twins, _loads(direct, search), rounds=rounds, seconds=seconds
        )
    created = compare(
        twins, _loads(direct, Load("/api/movies", "POST", MOVIE)), rounds=rounds, seconds=seconds
    )
    prepare_movies(twins)
    return read | found | {"create": created}


def orders(twins: Twins, *, rounds: int, seconds: float) -> dict[str, Figures]:
    """Orders without and with a key, each 200 after the broker's confirm; billing-app is stopped.

    Beside them the broker alone: one pika publisher with confirms and as many in flight.
    """
    order = Load("/api/billing", "POST", ORDER, connections=IN_FLIGHT)
    keyed = {name: base for name, base in DESKS.items() if name != "afternoon"}
    plain = compare(twins, _loads(DESKS, order), rounds=rounds, seconds=seconds)
    publish = (
        "python3",
        "/bench/publish.py",
        twins.user,
        twins.password,
        "bench",
        str(seconds),
        str(IN_FLIGHT),
    )
    alone = result(twins.tool(*publish))
    rate = alone["requests"] / alone["seconds"]
    plain["broker alone"] = {"rate": rate, "ratio": plain["gateway"]["rate"] / rate}
    with_key = _loads(keyed, replace(order, with_key=True))
    return {"order": plain, "order with a key": compare(twins, with_key, rounds=rounds, seconds=seconds)}


def connections(twins: Twins, *, rounds: int, seconds: float) -> dict[str, Figures]:
    """The list and an order from few and from many connections."""
    measured: dict[str, Figures] = {}
    for number in CONNECTIONS:
        read = Load("/api/movies", connections=number)
        order = Load("/api/billing", "POST", ORDER, connections=number)
        for what, ways, like in (("list", HOPS, read), ("order", DESKS, order)):
            measured[f"{what}, {number} connections"] = compare(
                twins, _loads(ways, like), rounds=rounds, seconds=seconds
            )
    return measured


def replicas(twins: Twins, *, rounds: int, seconds: float) -> dict[str, Figures]:
    """The list with one, two and three containers of inventory-app."""
    measured: dict[str, Figures] = {}
    for number in range(1, MOST_REPLICAS + 1):
        if number > 1:
            twins.add_replica(number)
        measured[f"list, {number} replicas"] = compare(
            twins, {"gateway": Load(f"{GATEWAY}/api/movies")}, rounds=rounds, seconds=seconds
        )
    return measured


def latency(machine: Machine, twins: Twins, *, seconds: float) -> dict[str, dict[str, float]]:
    """The times of requests at half the rate that the gateway can answer; billing-app stores meanwhile."""
    prepare_movies(twins)
    machine.docker("start", "bench-billing-app")
    times = {}
    for what, load, more in (
        ("list", Load(f"{GATEWAY}/api/movies"), ()),
        ("order", Load(f"{GATEWAY}/api/billing", "POST", ORDER), (twins.connection_string(),)),
    ):
        rate = put_on(twins, load, seconds)["rate"] / 2
        _wait_until_all_is_stored(twins)
        sent = (load.url, load.method, load.body, f"{rate:.1f}", str(seconds))
        times[what] = {"rate": rate, **result(twins.tool("python3", "/bench/open_loop.py", *sent, *more))}
    return times


def _wait_until_all_is_stored(twins: Twins) -> None:
    stored = "SELECT count(*) FROM orders WHERE stored_at > now() - interval '2 seconds'"
    wait_until(
        lambda: int(twins.query("billing-database", twins.orders_database, stored)) == 0,
        "billing-app has stored the orders of before",
    )
