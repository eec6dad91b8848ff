"""Runs suites of tests one after another, says how far they are, and goes on after a failure.

    scripts/suites.py short|all

What a suite prints is in .cache/test/SUITE.log. On a terminal there is one line for each suite, and the end
of its log where it failed; elsewhere, as in CI, all of it is shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
LOGS: Final = ROOT / ".cache" / "test"
LAST_LINES: Final = 60
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
# The end of a line of pytest's progress, and what Molecule says when it begins a step.
PERCENT: Final = re.compile(r"\[ *(\d+)%\]$")
STEP: Final = re.compile(r"Executing$")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Suite:
    """Some tests that are run with one command.

    Attributes:
        name: for people, and the name of its log.
        command: what runs it.
        minutes: what it takes on two cores, about.
        scenario: the Molecule scenario whose steps it runs, if it does.
    """

    name: str
    command: tuple[str, ...]
    minutes: int
    scenario: str = ""

    def steps(self) -> list[str]:
        """List what Molecule does, one after the other, with the folder of the tests where there is one."""
        if not self.scenario:
            return []
        text = (ROOT / "molecule" / self.scenario / "molecule.yml").read_text()
        steps = yaml.safe_load(text)["scenario"]["test_sequence"]
        return [step.replace("../../tests/", "").replace(".yml", "") for step in steps]


@dataclass(frozen=True)
class Result:
    """How a suite ended."""

    suite: Suite
    passed: bool
    seconds: float


SHORT: Final = (
    Suite("lint", ("make", "lint"), 2),
    Suite("unit", ("make", "test-unit"), 5),
    Suite("platform", ("make", "test-platform"), 15, "default"),
)
ALL: Final = (
    *SHORT[:2],
    # With all of it, so that nothing is run twice.
    Suite("platform", ("make", "test-platform", "LONG=yes"), 60, "default"),
    Suite("openapi", ("make", "test-openapi"), 2),
    Suite("compose", ("make", "test-compose"), 25, "compose"),
    Suite("kubernetes", ("make", "test-kubernetes"), 10, "kubernetes"),
    Suite("servers", ("make", "test-servers"), 45, "servers"),
    Suite("cluster", ("make", "test-cluster"), 150, "cluster"),
    Suite("bundle", ("make", "test-bundle"), 15, "bundle"),
    Suite("trixie", ("make", "test-trixie"), 45, "trixie"),
    Suite("operations", ("make", "test-operations"), 80, "operations"),
    Suite("restore", ("make", "test-restore"), 60, "restore"),
    Suite("backlog", ("make", "test-backlog"), 15, "faults"),
    Suite("faults-proof", ("make", "test-faults-proof"), 35, "faults"),
    Suite("faults", ("make", "test-faults"), 70, "faults"),
    Suite("restore-million", ("make", "bench-backup"), 30, "restore"),
)
CHOICES: Final = {"short": SHORT, "all": ALL}


class Progress:
    """One line that says how far a suite is; on a terminal it is written anew, elsewhere only at its end.

    Args:
        place: such as "2/3".
        suite: what runs.
        stream: where it is written.
    """

    def __init__(self, place: str, suite: Suite, stream: TextIO = sys.stdout) -> None:
        self._place = place
        self._suite = suite
        self._stream = stream
        self._steps = suite.steps()
        self._begun = -1
        self._percent = ""
        self._started = time.monotonic()

    def read(self, line: str) -> None:
        """Look at a line that the suite has printed."""
        text = COLOUR.sub("", line.rstrip())
        if self._steps and STEP.search(text):
            self._begun = min(self._begun + 1, len(self._steps) - 1)
            self._percent = ""
        elif found := PERCENT.search(text):
            self._percent = f"{found[1]} %"

    def text(self) -> str:
        """Say how far it is."""
        seconds = int(time.monotonic() - self._started)
        parts = [f"{seconds // 60}:{seconds % 60:02} of about {self._suite.minutes} min"]
        if self._begun >= 0:
            parts.append(f"step {self._begun + 1} of {len(self._steps)}: {self._steps[self._begun]}")
        if self._percent:
            parts.append(self._percent)
        return f"  {self._place:<6} {self._suite.name:<16} {', '.join(parts)}"

    def show(self) -> None:
        """Write the line anew, where that is possible."""
        if self._stream.isatty():
            self._stream.write(f"\r{self.text()}\x1b[K")
            self._stream.flush()

    def end(self, result: Result) -> None:
        """Write the last form of the line."""
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
        word = "ok" if result.passed else "FAILED"
        print(
            f"  {self._place:<6} {self._suite.name:<16} {word:<7} {result.seconds / 60:5.1f} min",
            file=self._stream,
        )
        self._stream.flush()


def is_calm() -> bool:
    """Tell whether somebody looks on, who is shown one line for each suite."""
    return sys.stdout.isatty()


def run(suite: Suite, place: str) -> Result:
    """Run a suite to its end, whatever that is."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{suite.name}.log"
    progress = Progress(place, suite)
    started = time.monotonic()
    over = threading.Event()

    def show() -> None:
        while not over.wait(1):
            progress.show()

    shower = threading.Thread(target=show)
    with log.open("w") as file:
        process = subprocess.Popen(
            suite.command,
            cwd=ROOT,
            # make refuses options that a target does not take, and this one's are not those of the suites.
            env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        shower.start()
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                progress.read(line)
                if not is_calm():
                    print(line, end="", flush=True)
            code = process.wait()
        except KeyboardInterrupt:
            # The suite was interrupted with us, and cleans up.
            process.wait()
            raise
        finally:
            over.set()
            shower.join()
    result = Result(suite, code == 0, time.monotonic() - started)
    progress.end(result)
    if not result.passed and is_calm():
        last = log.read_text().splitlines()[-LAST_LINES:]
        print("\n".join(f"    {line}" for line in last))
        print(f"    All of it: {log.relative_to(ROOT)}", flush=True)
    return result


def table(results: Sequence[Result]) -> str:
    """Say of each suite how it ended and how many minutes it took."""
    lines = [f"{'suite':<18} {'result':<8} {'minutes':>7}"]
    lines += [
        f"{each.suite.name:<18} {'ok' if each.passed else 'FAILED':<8} {each.seconds / 60:7.1f}"
        for each in results
    ]
    lines.append(f"{'all':<18} {'':<8} {sum(each.seconds for each in results) / 60:7.1f}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run a choice of suites; returns the exit code: 0 when all have passed."""
    if len(arguments) != 1 or arguments[0] not in CHOICES:
        print(f"Say which suites: {' or '.join(CHOICES)}.", file=sys.stderr)
        return EXIT_USAGE
    suites = CHOICES[arguments[0]]
    results = [run(suite, f"{number}/{len(suites)}") for number, suite in enumerate(suites, 1)]
    print(f"\n{table(results)}", flush=True)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
