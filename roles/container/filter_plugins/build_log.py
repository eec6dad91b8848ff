"""Filter that makes the reason of a failed build readable."""

from __future__ import annotations

import ast
import re

LAST_LINES = 20
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def build_log(message: str) -> str:
    """Give what a build failed with, and the last lines that it printed.

    Args:
        message: of docker_image, which ends with all lines of the build as a list in Python's notation.
    """
    reason, _, lines = message.partition(", logs: ")
    try:
        printed = COLOUR.sub("", "\n".join(ast.literal_eval(lines)))
    except (SyntaxError, TypeError, ValueError):
        return message
    # apt writes "E", ": " and what is wrong in three pieces.
    printed = re.sub(r"\n+: \n+", ": ", printed)
    return "\n".join([reason, *[line for line in printed.splitlines() if line.strip()][-LAST_LINES:]])


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filter by its name."""
        return {"build_log": build_log}
