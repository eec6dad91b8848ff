"""Load on a URL, and several loads in turns."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import BenchError, result
from benchmarks.twins import Twins


@dataclass(frozen=True)
class Load:
    """What to send, from how many connections; each sends its next request when it has its answer.

    Attributes:
        url: where to.
        method: how.
        body: JSON, or nothing.
        with_key: each request has an Idempotency-Key of its own.
        connections: how many.
    """

    url: str
    method: str = "GET"
    body: str = ""
    with_key: bool = False
    connections: int = 32


def put_on(twins: Twins, load: Load, seconds: float) -> dict[str, float]:
    """Put a load on; return requests per second, and the 50th and 99th percentile of the milliseconds.

    Raises:
        BenchError: an answer was none of 2xx, or a connection broke: the figures would mean nothing.
    """
    wrk = ("wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency", "--timeout", "30s")
    what = (load.method, load.body, "key" if load.with_key else "")
    figures = result(twins.tool(*wrk, "-s", "/bench/load.lua", load.url, "--", *what))
    if figures["not_2xx"] or figures["broken"]:
        raise BenchError(
            f"{load.method} {load.url} was answered {figures['not_2xx']} times of {figures['requests']} with "
            f"an error, and {figures['broken']} connections broke."
        )
    if "billing" in load.url:
        twins.accepted[load.url] += figures["requests"]
    rate = figures["requests"] / figures["seconds"]
    return {"rate": rate, "p50_ms": figures["p50_ms"], "p99_ms": figures["p99_ms"]}


def compare(
    twins: Twins, loads: Mapping[str, Load], *, rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Put loads on in turns, so that what else the machine does meets all of them.

    Returns:
        For each load the medians over the rounds; `ratio` is the first one's rate by this one's, in the same
        round.
    """
    for load in loads.values():
        put_on(twins, load, 1)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            measured[name].append(put_on(twins, load, seconds))
    first = next(iter(measured.values()))
    medians: dict[str, dict[str, Any]] = {}
    for name, each in measured.items():
        medians[name] = {what: statistics.median(figures[what] for figures in each) for what in each[0]}
        if each is not first:
            ratios = [ours["rate"] / theirs["rate"] for ours, theirs in zip(first, each, strict=True)]
            medians[name] |= {"ratio": statistics.median(ratios), "ratios": sorted(ratios)}
    return medians
