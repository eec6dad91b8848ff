"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.library.settings import PATIENCE

Result = TypeVar("Result")


def wait_until(
    condition: Callable[[], Result | None],
    what: str,
    seconds: float = 30,
    *,
    interval: float = 0.05,
    explain: Callable[[], object] | None = None,
) -> Result:
    """Ask `condition` again and again until it gives something true, and give that.

    Args:
        condition: what is asked; an error that it raises is not swallowed.
        what: the condition as the end of the sentence "it did not happen that …".
        seconds: how long to wait at most, on a machine of usual speed.
        interval: seconds between two questions.
        explain: what to add to the error, asked at the end.

    Raises: AssertionError when the time is over.
    """
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            reason = f": {explain()}" if explain else ""
            raise AssertionError(f"within {seconds * PATIENCE:.0f} s it did not happen that {what}{reason}")
        time.sleep(interval)
