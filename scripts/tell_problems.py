"""The command line of a check that tells problems, one sentence each."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tell_problems(
    problems: Callable[[Path], Iterable[str]],
    description: str | None,
    arguments: list[str] | None = None,
    *,
    default: Path = ROOT,
) -> int:
    """Print what `problems` finds in the folder that the command line names.

    Args:
        problems: finds them; it is given the folder.
        description: what `--help` says.
        arguments: the command line without the program's name; None takes the process's own.
        default: the folder where none is named.

    Returns: the exit code, 0 where nothing was found.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", nargs="?", type=Path, default=default, help=f"default: {default}")
    found = list(problems(parser.parse_args(arguments).folder))
    for sentence in found:
        print(sentence)
    return 1 if found else 0
