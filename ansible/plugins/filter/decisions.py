"""Filter for what an operator decided on a machine."""

from __future__ import annotations

from collections.abc import Mapping

DOCUMENTATION = """
name: decisions
author: the Play with Containers authors
short_description: Finds decisions that no longer count
"""


def overtaken_pins(pins: Mapping[str, Mapping[str, str]], images: Mapping[str, str]) -> dict[str, None]:
    """Give the services whose sources have made another image since they were rolled back, each with None.

    Args:
        pins: name of a service to `from` and `to`, two tags.
        images: name of a service to the name and tag of the image that was decided on.
    """
    return {
        name: None
        for name, pin in pins.items()
        if images.get(name, f"{name}:{pin['to']}") != f"{name}:{pin['to']}"
    }


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {"overtaken_pins": overtaken_pins}
