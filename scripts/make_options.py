#!/usr/bin/env python3
"""Checks make's command line before a target runs: `make stop SERVCIE=x` stops nothing.

The Makefile's help lines are the table: a target takes the options that its line shows as NAME=…. Only
Python's standard library is needed, since this also runs before there is an environment.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"
EXIT_USAGE = 2
TARGET = re.compile(r"^([a-z-]+):.*?## (.*)$", re.MULTILINE)
OPTION = re.compile(r"\b([A-Z_]+)=")


def options_of_targets(makefile: Path = MAKEFILE) -> dict[str, tuple[str, ...]]:
    """Read which options each target takes."""
    return {
        target: tuple(dict.fromkeys(OPTION.findall(text)))
        for target, text in TARGET.findall(makefile.read_text(encoding="utf-8"))
    }


def unknown_option(target: str, option: str, taken: Iterable[str]) -> str:
    """Say that a target does not take an option, and what it takes."""
    names = tuple(taken)
    near = difflib.get_close_matches(option.upper(), names, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    takes = f"It takes {', '.join(names)}." if names else "It takes no options."
    return f"make {target} has no option {option}.{meant} {takes}"


def empty_option(option: str) -> str:
    """Say that an option was given without a value."""
    return f"{option} is given, and empty. Give it a value, or leave it out."


def problems(
    goals: Iterable[str], given: Mapping[str, str], targets: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Tell what is wrong with a command line, one sentence each.

    Args:
        goals: the targets that are asked for.
        given: the variables of the command line, with their values.
        targets: each target with the options that it takes.
    """
    unknown = [
        unknown_option(goal, name, targets[goal])
        for goal in goals
        if goal in targets
        for name in given
        if name not in targets[goal]
    ]
    return unknown or [empty_option(name) for name, value in given.items() if not value.strip()]


def main() -> int:
    """Check what the Makefile hands over in the environment; returns the exit code."""
    goals = os.environ["MAKE_GOALS"].split()
    given = {name: os.environ.get(name, "") for name in os.environ["MAKE_GIVEN"].split()}
    found = problems(goals, given, options_of_targets())
    for sentence in found:
        print(sentence, file=sys.stderr)
    return EXIT_USAGE if found else 0


if __name__ == "__main__":
    sys.exit(main())
