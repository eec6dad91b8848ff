"""Filter for counts in sentences."""

from __future__ import annotations

DOCUMENTATION = """
name: words
author: the Play with Containers authors
short_description: Writes a number of things
"""


def counted(number: int | str, noun: str) -> str:
    """Write a number of things: `1 container`, `3 containers`.

    Args:
        number: how many.
        noun: the thing, in the singular; its plural ends in s.
    """
    return f"{number} {noun}" if int(number) == 1 else f"{number} {noun}s"


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {"counted": counted}
