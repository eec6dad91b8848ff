"""`make bench`, or `python -m benchmarks [--on local] [PART …]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks import measures, report, requests
from benchmarks.machine import ROOT, BenchError, Machine
from benchmarks.twins import Twins

PARTS: Final = {
    "sizes": "memory and images of the platform",
    "movies": "reading, searching and creating movies",
    "orders": "orders, and the broker alone",
    "connections": "from few and from many connections",
    "paused": "orders while the broker stands still",
    "backlog": "a backlog of orders",
    "latency": "times at half the rate",
    "replicas": "one to three containers of inventory-app",
}
KEPT: Final = ROOT / "benchmarks" / "results.json"
LATEST: Final = ROOT / ".cache" / "bench.json"


def main() -> int:
    """Measure, print a table, write the figures to .cache/bench.json; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="How fast the platform is.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none is named")
    parser.add_argument(
        "--on", default="play-with-containers", help='"local", or the name of a Vagrant machine'
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of the comparisons")
    parser.add_argument("--seconds", type=int, default=3, help="length of one measurement")
    parser.add_argument(
        "--keep", action="store_true", help="make this the result that later runs are compared with"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}.")
    figures: dict[str, Any] = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "requests": {}}
    failure = ""
    try:
        _measure(arguments, figures)
    except BenchError as error:
        failure = f"bench: {error}"
    # What was measured until then counts.
    before = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    print(report.text(figures), *report.fallen(before, figures), sep="\n")
    for file in (LATEST, KEPT) if arguments.keep and not failure else (LATEST,):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n")
        print(f"Also in {file.relative_to(ROOT)}.")
    print(failure, file=sys.stderr)
    return 1 if failure else 0


def _measure(arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    machine, parts = Machine(arguments.on), arguments.parts or list(PARTS)
    few = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    figures["machine"] = report.describe(machine)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"  {time.monotonic() - began:4.0f} s  {what} …", file=sys.stderr, flush=True)

    def wanted(part: str) -> bool:
        if part in parts:
            say(PARTS[part])
        return part in parts

    if wanted("sizes"):
        figures["sizes"] = measures.sizes(machine)
    if not set(parts) - {"sizes"}:
        return
    say("twins of the platform's containers")
    with Twins(machine) as twins:
        requests.prepare_movies(twins)
        machine.docker("stop", "bench-billing-app")
        for part, measure in _COMPARISONS.items():
            if wanted(part):
                figures["requests"] |= measure(twins, **few)
        if wanted("paused"):
            figures["paused"] = measures.broker_paused(machine, twins, seconds=arguments.seconds)
        if wanted("backlog"):
            figures["backlog"] = measures.backlog(machine, twins)
        if wanted("latency"):
            figures["latency"] = requests.latency(machine, twins, seconds=10)
        if wanted("replicas"):
            figures["requests"] |= requests.replicas(twins, **few)
    figures["took_seconds"] = round(time.monotonic() - began)


_COMPARISONS: Final[dict[str, Callable[..., dict[str, requests.Figures]]]] = {
    "movies": requests.movies,
    "orders": requests.orders,
    "connections": requests.connections,
}


if __name__ == "__main__":
    sys.exit(main())
