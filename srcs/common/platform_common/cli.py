"""The command line of an app: `python -m APP COMMAND`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn

from platform_common.settings import SettingsError

CONFIGURATION_ERROR: Final = 78  # EX_CONFIG of sysexits.h
USAGE_ERROR: Final = 64  # EX_USAGE


def run(
    commands: Mapping[str, Callable[[], int | None]],
    *,
    with_arguments: Mapping[str, Callable[[Sequence[str]], int | None]] | None = None,
) -> NoReturn:
    """Run the command that the first argument names, then exit.

    Args:
        commands: each command's name and function, which returns the exit code (None means 0).
        with_arguments: commands that take the further arguments.

    A `SettingsError` becomes one sentence on standard error and the exit code 78, an unknown
    command the list of the known ones and 64.
    """
    further = with_arguments or {}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    command = commands.get(name) if len(sys.argv) == 2 else None
    if name in further:
        command = partial(further[name], sys.argv[2:])
    if command is None:
        print(f"usage: {' | '.join(sorted({*commands, *further}))}", file=sys.stderr)
        raise SystemExit(USAGE_ERROR)
    try:
        raise SystemExit(command() or os.EX_OK)
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(CONFIGURATION_ERROR) from None
