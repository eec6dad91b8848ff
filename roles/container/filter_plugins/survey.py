"""Filters for what a machine has already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: survey
author: the Play with Containers authors
short_description: Describes what a machine has already, and what of a container's secrets it lacks
"""

SERVICE = "play-with-containers.service"
STOPPED = frozenset({"created", "exited", "dead", "removing"})
# What a run starts beside a container, or in its place, and removes again.
HELPER = re.compile(r"(?P<name>.+)-(previous|next|candidate|migration|restore)|dead-letters")


def container_survey(engine: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe what a machine has.

    Args:
        engine: its images, networks and containers, as docker_host_info gives them.
        files: what is below the directory of everything that containers mount, as find gives it.

    Returns:
        `images`, each name with tag, and its id; `networks`, their names; `containers`, those that have the
        label of a service, each name with its service, the id of its image and whether it runs; `foreign`,
        the names of all others, each with the volumes that it uses while it runs; `files`, each path with
        its mode, owner, group and SHA-256.
    """
    containers = {container["Names"][0].removeprefix("/"): container for container in engine["containers"]}
    ours = {
        name: container for name, container in containers.items() if SERVICE in (container["Labels"] or {})
    }
    return {
        "images": {name: image["Id"] for image in engine["images"] for name in image.get("RepoTags") or []},
        "networks": [network["Name"] for network in engine["networks"]],
        "containers": {
            name: {
                "service": container["Labels"][SERVICE],
                "image": container["ImageID"],
                "running": container["State"] not in STOPPED,
            }
            for name, container in ours.items()
        },
        "foreign": {
            name: [mount["Name"] for mount in container["Mounts"] if mount["Type"] == "volume"]
            if container["State"] not in STOPPED
            else []
            for name, container in containers.items()
            if name not in ours
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


def stray_containers(
    containers: Mapping[str, Mapping[str, Any]], service: str, *, with_replicas: bool
) -> list[str]:
    """Name the containers of a service that go by a name which the description does not give them.

    Args:
        containers: of a survey.
        service: name of the service.
        with_replicas: whether it may have replicas (NAME-2 and so on; see `surplus_replicas`).
    """
    replica = re.compile(re.escape(service) + r"(-\d+)?" if with_replicas else re.escape(service))
    return [
        name
        for name, container in sorted(containers.items())
        if container["service"] == service and not replica.fullmatch(name) and not _is_helper(name, replica)
    ]


def users_of_volumes(foreign: Mapping[str, Iterable[str]], volumes: Iterable[str]) -> list[str]:
    """Name the foreign containers that use one of these volumes now.

    Args:
        foreign: of a survey.
        volumes: names of volumes.
    """
    wanted = set(volumes)
    return sorted(name for name, used in foreign.items() if wanted.intersection(used))


def orphan_containers(containers: Mapping[str, Mapping[str, Any]], services: Iterable[str]) -> list[str]:
    """Name the containers of services that are not described any more.

    Args:
        containers: of a survey.
        services: names of the services that are described.
    """
    return sorted(name for name, container in containers.items() if container["service"] not in services)


def _is_helper(name: str, of: re.Pattern[str]) -> bool:
    found = HELPER.fullmatch(name)
    return found is not None and (found["name"] is None or of.fullmatch(found["name"]) is not None)


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
            "stray_containers": stray_containers,
            "users_of_volumes": users_of_volumes,
            "orphan_containers": orphan_containers,
        }
