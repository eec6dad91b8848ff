"""Filter that puts a service's images into the order in which they were deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: deployments
author: the Play with Containers authors
short_description: Puts a service's images into the order in which they were deployed
"""

LABEL = "play-with-containers."


def by_deployment(
    images: Iterable[Mapping[str, Any]], record: str, service: str, running: str | None
) -> list[dict[str, Any]]:
    """List the images of a service, the last deployed first; what never ran is at the end.

    The one after the running one is what ran before it. What an operator went back to counts where its
    sources put it: to go back twice goes back two deployments, and not there and here again.

    Args:
        images: as the engine lists them; those without a name are left out.
        record: a line for each deployment of any service: its moment, the service, the image's tag, and
            `described` or, for one that an operator chose, `chosen`.
        service: name of the service.
        running: id of the image that its container runs, if it has one.
    """
    deployed: dict[str, tuple[int, str]] = {}
    described: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(record.splitlines()):
        fields = line.split()
        if len(fields) == 4 and fields[1] == service:
            moment, _, tag, how = fields
            deployed[tag] = (number, moment)
            if how == "described":
                described[tag] = (number, moment)
    entries = []
    for image in images:
        if image.get("RepoTags") in (None, [], ["<none>:<none>"]):
            continue
        name = image["RepoTags"][0]
        labels = image.get("Labels") or {}
        tag = name.rpartition(":")[2]
        current = image["Id"] == running
        number, moment = (described if current and tag in described else deployed).get(tag, (-1, None))
        entries.append(
            (
                (number, image["Created"]),
                {
                    "image": name,
                    "tag": tag,
                    "built": labels.get(f"{LABEL}built"),
                    "base_built": labels.get(f"{LABEL}base-built"),
                    "revision": labels.get(f"{LABEL}revision") or "unknown",
                    "deployed": moment,
                    "current": current,
                },
            )
        )
    return [entry for _, entry in sorted(entries, key=lambda pair: pair[0], reverse=True)]


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {"by_deployment": by_deployment}
