"""Filters for a service's images, in the order in which they were deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
        running: the image that it runs, with its tag, if any.
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
        if _is_nameless(image):
            continue
        name = image["RepoTags"][0]
        tag = name.rpartition(":")[2]
        current = running in image["RepoTags"]
        number, moment = (described if current and tag in described else deployed).get(tag, (-1, None))
        entries.append(
            (
                (number, image["Created"]),
                {
                    "image": name,
                    "tag": tag,
                    "built": _label(image, "built"),
                    "base_built": _label(image, "base-built"),
                    "revision": _label(image, "revision") or "unknown",
                    "deployed": moment,
                    "current": current,
                },
            )
        )
    return [entry for _, entry in sorted(entries, key=lambda pair: pair[0], reverse=True)]


def images_to_remove(
    images: Sequence[Mapping[str, Any]], record: str, wanted: Mapping[str, str], kept: int
) -> list[str]:
    """Name the images of services that are too old to go back to, and the old stages of their builds.

    The builder keeps the last stage of each former build without a name. The newest one makes the next build
    fast.

    Args:
        images: all that the engine has, as it lists them.
        record: see `by_deployment`.
        wanted: name of each service to that of an image that stays in any case.
        kept: how many of those that were deployed last stay of each.
    """
    return [
        name
        for service, image in wanted.items()
        for name in _too_old(images, record, service, kept)
        if name != image
    ]


def _too_old(images: Sequence[Mapping[str, Any]], record: str, service: str, kept: int) -> list[str]:
    own = [image for image in images if _label(image, "image") == service]
    deployed = [entry["image"] for entry in by_deployment(own, record, service, None)]
    stages = [image for image in images if _is_nameless(image) and _label(image, "stage") == service]
    stages.sort(key=lambda image: int(image["Created"]), reverse=True)
    return deployed[kept:] + [stage["Id"] for stage in stages[1:]]


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


def _is_nameless(image: Mapping[str, Any]) -> bool:
    return image.get("RepoTags") in (None, [], ["<none>:<none>"])


def _label(image: Mapping[str, Any], name: str) -> str | None:
    labels: Mapping[str, str] = image.get("Labels") or {}
    return labels.get(f"{LABEL}{name}")


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "by_deployment": by_deployment,
            "images_to_remove": images_to_remove,
            "overtaken_pins": overtaken_pins,
        }
