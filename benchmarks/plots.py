"""`make bench-plots`: draws benchmarks/results.json into docs/, with gnuplot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.requests import CONNECTIONS

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results.json"
PLOTS: Final = {"list": "GET /api/movies, three movies", "order": "POST /api/billing, with confirms"}
SCRIPT: Final = """
set terminal svg size 720,400 background "white" font "sans-serif,12"
set output "{output}"
set title "{title}"
set xlabel "connections"
set ylabel "requests per second"
set logscale x 2
set xtics ({tics})
set xrange [1:160]
set yrange [0:*]
set key outside right
set grid ytics
plot {lines}
"""


def main() -> int:
    """Draw the plots; returns the exit code."""
    if not RESULTS.exists():
        print(f"There is no {RESULTS.relative_to(ROOT)}: `make bench KEEP=yes` makes it.", file=sys.stderr)
        return 1
    requests = json.loads(RESULTS.read_text())["requests"]
    for kind, title in PLOTS.items():
        output = ROOT / "docs" / f"benchmarks-{kind}.svg"
        script = plot(requests, kind, title, output)
        try:
            subprocess.run(["gnuplot"], input=script, text=True, check=True)
        except FileNotFoundError:
            print("gnuplot is missing: `apt-get install gnuplot-nox`.", file=sys.stderr)
            return 1
        print(output.relative_to(ROOT))
    return 0


def plot(requests: dict[str, Any], kind: str, title: str, output: Path) -> str:
    """Return what gnuplot is to do for one plot: a line for each way, over the numbers of connections."""
    measured = {number: requests[f"{kind}, {number} connections"] for number in CONNECTIONS}
    ways = list(measured[CONNECTIONS[0]])
    points = {
        way: "\n".join(f"{number} {measured[number][way]['rate']:.0f}" for number in CONNECTIONS)
        for way in ways
    }
    data = "".join(f"$way{index} << END\n{points[way]}\nEND\n" for index, way in enumerate(ways))
    lines = ", ".join(
        f'$way{index} with linespoints linewidth 2 title "{way}"' for index, way in enumerate(ways)
    )
    tics = ", ".join(map(str, CONNECTIONS))
    return data + SCRIPT.format(output=output, title=title, tics=tics, lines=lines)


if __name__ == "__main__":
    sys.exit(main())
