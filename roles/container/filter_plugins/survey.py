"""Filters for what a machine has already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: survey
author: the Play with Containers authors
short_description: Describes what a machine has already, and what of a container's secrets it lacks
"""


def container_survey(engine: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe what a machine has.

    Args:
        engine: its images, networks and containers, as docker_host_info gives them.
        files: what is below the directory of everything that containers mount, as find gives it.

    Returns:
        `images`, each name with tag, and its id; `networks`, their names; `containers`, those that have the
        label of a service, each name with its service and the id of its image; `files`, each path with its
        mode, owner, group and SHA-256.
    """
    return {
        "images": {name: image["Id"] for image in engine["images"] for name in image.get("RepoTags") or []},
        "networks": [network["Name"] for network in engine["networks"]],
        "containers": {
            container["Names"][0].removeprefix("/"): {
                "service": container["Labels"]["play-with-containers.service"],
                "image": container["ImageID"],
            }
            for container in engine["containers"]
            if "play-with-containers.service" in (container["Labels"] or {})
        },
        "files": {
            file["path"]: {
                "mode": file["mode"],
                "uid": file["uid"],
                "gid": file["gid"],
                "checksum": file.get("checksum"),
            }
            for file in files
        },
    }


def secrets_to_write(
    secrets: Mapping[str, str], files: Mapping[str, Mapping[str, Any]], directory: str, user: int
) -> list[str]:
    """Name the secrets that a machine lacks, or has with another content, owner or mode.

    Args:
        secrets: file name to content.
        files: of a survey.
        directory: where they are to be.
        user: who may read them, and nobody else.
    """
    owned = {"uid": user, "gid": user}
    if not _is(files.get(directory), {**owned, "mode": "0500"}):
        return list(secrets)
    return [
        name
        for name, content in secrets.items()
        if not _is(
            files.get(f"{directory}/{name}"),
            {**owned, "mode": "0400", "checksum": hashlib.sha256(content.encode()).hexdigest()},
        )
    ]


def surplus_replicas(
    containers: Mapping[str, Mapping[str, str]], service: str, wanted: Iterable[str]
) -> list[str]:
    """Name the replicas of a service that are not wanted, the highest number first.

    Args:
        containers: of a survey.
        service: name of the service.
        wanted: names of its containers that are wanted.
    """
    prefix = f"{service}-"
    numbers = {
        int(name.removeprefix(prefix)): name
        for name, container in containers.items()
        if container["service"] == service and name.removeprefix(prefix).isdecimal() and name not in wanted
    }
    return [numbers[number] for number in sorted(numbers, reverse=True)]


def _is(file: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    return file is not None and all(file[key] == value for key, value in wanted.items())


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "container_survey": container_survey,
            "secrets_to_write": secrets_to_write,
            "surplus_replicas": surplus_replicas,
        }
