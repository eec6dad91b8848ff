"""`make bench`, or `python -m benchmarks [--on local] [movies orders backlog sizes]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks import measures, report
from benchmarks.machine import ROOT, BenchError, Machine
from benchmarks.twins import Twins

PARTS: Final = ("sizes", "movies", "orders", "paused", "backlog")


def main() -> int:
    """Measure, print a table, write the figures to .cache/bench.json; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="How fast the platform is.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none is named")
    parser.add_argument(
        "--on", default="play-with-containers", help='"local", or the name of a Vagrant machine'
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of the comparisons")
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}.")
    try:
        figures = _measure(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    file = ROOT / ".cache" / "bench.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
    print(report.text(figures), f"\nAlso in {file.relative_to(ROOT)}.", sep="\n")
    return 0


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    machine, parts = Machine(arguments.on), arguments.parts or PARTS
    times = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    figures: dict[str, Any] = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    figures["machine"] = report.describe(machine)

    def measure(part: str, what: str, function: Callable[[], Any]) -> None:
        if part in parts:
            print(f"  {what} …", file=sys.stderr, flush=True)
            figures[part] = function()

    began = time.monotonic()
    measure("sizes", "memory and images of the platform", lambda: measures.sizes(machine))
    if set(parts) - {"sizes"}:
        print("  twins of the platform's containers …", file=sys.stderr, flush=True)
        with Twins(machine) as twins:
            measure("movies", "GET /api/movies", lambda: measures.movies(twins, **times))
            measure(
                "orders",
                "POST /api/billing",
                lambda: measures.orders(machine, twins, **(times | {"rounds": 3})),
            )
            measure(
                "paused",
                "POST /api/billing, broker paused",
                lambda: measures.broker_paused(machine, twins, seconds=arguments.seconds),
            )
            measure("backlog", "a backlog of orders", lambda: measures.backlog(machine, twins))
    figures["took_seconds"] = round(time.monotonic() - began)
    return figures


if __name__ == "__main__":
    sys.exit(main())
