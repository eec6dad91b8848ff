"""Filters that decide what has to be done, from what a machine has and what is described."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

SIZE = re.compile(r"(?P<number>\d+)(?P<unit>[bkmg]?)b?", re.IGNORECASE)
# What a run starts beside a container, or in its place, and removes again.
HELPER = re.compile(r"(?P<name>.+)-(previous|next|candidate|migration|restore|before)|dead-letters")


def container_digest(parameters: Mapping[str, Any]) -> str:
    """Give a short hash of all that a container is made with, which its label keeps.

    Args:
        parameters: arguments of docker_container.
    """
    text = json.dumps(parameters, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def container_difference(survey: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, str]:
    """Tell what has to be done with a container, and why.

    Args:
        survey: what the machine has, as the module container_survey returns it.
        wanted: `name`; `image`, its name and tag; `description`, the digest of what it is made with;
            `memory`, a size as Docker writes it; `pids`; `network`; `aliases`, its names there.

    Returns:
        `action`: `create`, `replace` (with a candidate first), `start`, `adjust` (while it runs), `wait`
        (until it is healthy) or nothing; `why`.
    """
    found = survey["containers"].get(wanted["name"])
    if found is None:
        return _to_do("create", "it does not exist")
    image = survey["images"].get(wanted["image"])
    aliases = found["networks"].get(wanted["network"], [])
    for differs, action, why in (
        (image is None, "replace", "its image is new"),
        (found["image"] != image, "replace", "it runs another image"),
        (found["description"] != wanted["description"], "replace", "its description changed"),
        (found["pids"] != int(wanted["pids"]), "replace", "its limit of processes was changed by hand"),
        (not found["running"], "start", "it is stopped"),
        (found["paused"], "start", "it is paused"),
        (found["memory"] != _bytes(wanted["memory"]), "adjust", "its memory limit was changed by hand"),
        (found["memory_swap"] != found["memory"], "adjust", "its swap limit was changed by hand"),
        (found["restart"] != "unless-stopped", "adjust", "its restart policy was changed by hand"),
        (set(found["networks"]) != {wanted["network"]}, "adjust", "it is on other networks"),
        (not set(wanted["aliases"]) <= set(aliases), "adjust", "it has other names on the network"),
        (found["health"] not in ("healthy", "none"), "wait", f"it is {found['health']}"),
    ):
        if differs:
            return _to_do(action, why)
    return _to_do("", "")


def container_plan(survey: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, str]]:
    """List what has to be done for a container, in the order in which it is done.

    Args:
        survey: as for `container_difference`.
        wanted: as for `container_difference`, and `service`; `secrets`, `secrets_directory` and `user`
            (see `secrets_to_write`); `volumes`, their names; `overlaps`, whether several of its containers
            may run; `brought`, whether its image comes from another machine.
    """
    name, service = wanted["name"], wanted["service"]
    steps: list[tuple[str, str]] = []
    if name == service:
        if wanted["image"] not in survey["images"]:
            do = "load its image" if wanted["brought"] else "build its image"
            steps.append((do, "the machine does not have it"))
        secrets = secrets_to_write(
            wanted["secrets"], survey["files"], wanted["secrets_directory"], wanted["user"]
        )
        if secrets:
            steps.append(("write its secrets", f"{', '.join(secrets)}: missing or different"))
        strays = stray_containers(survey["containers"], service, with_replicas=wanted["overlaps"])
        if strays and name not in survey["containers"]:
            steps.append(("rename", f"{strays[0]} is a container of {service} and would get its name back"))
        elif strays:
            steps.append(("remove", f"{', '.join(strays)}: beside the described containers"))
    visitors = users_of_volumes(survey["foreign"], wanted["volumes"])
    if visitors:
        steps.append(("check", f"{', '.join(visitors)} uses its volume"))
    left = [helper for helper in helpers_of(name) if helper in survey["containers"]]
    if left:
        steps.append(("recover", f"an interrupted run left {', '.join(left)}"))
    difference = container_difference(survey, wanted)
    if difference["action"]:
        steps.append((difference["action"], difference["why"]))
    return [{"service": service, "container": name, "do": do, "why": why} for do, why in steps]


def container_answers(plan: Iterable[Mapping[str, str]], survey: Mapping[str, Any], name: str) -> bool:
    """Tell whether what a container says of its inside is part of a plan.

    It is where the container is to stay, or has said something all the same.

    Args:
        plan: what is planned for the container itself (see `container_plan`).
        survey: as for `container_difference`.
        name: of the container.
    """
    found = survey["containers"].get(name)
    stays = not any(step["container"] == name for step in plan)
    return found is not None and (found["answer"] is not None or stays)


def planned_to(
    services: Iterable[Mapping[str, Any]], do: str, plan: Iterable[Mapping[str, str]]
) -> list[Mapping[str, Any]]:
    """List the services that a plan has a step for.

    Args:
        services: entries of platform_services.
        do: the step.
        plan: of all services (see `container_plan`).
    """
    names = {step["service"] for step in plan if step["do"] == do}
    return [service for service in services if service["name"] in names]


def port_binding(port: Mapping[str, Any]) -> str:
    """Write a published port as Docker takes it.

    Args:
        port: `port`, inside the container; `published_port`, of the machine, the same where it is not given;
            `address` of the machine.
    """
    return f"{port['address']}:{port.get('published_port', port['port'])}:{port['port']}"


def first_of_each(entries: Iterable[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Move the first entry of each value to the front, and leave the order as it is otherwise.

    Args:
        entries: what to sort.
        key: whose values are compared.
    """
    first: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for entry in entries:
        (others if any(entry[key] == other[key] for other in first) else first).append(entry)
    return first + others


def helpers_of(name: str) -> list[str]:
    """Name what a run makes beside a container, or in its place, and removes again."""
    return [f"{name}-{helper}" for helper in ("previous", "next", "candidate", "migration")]


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


def files_to_write(contents: Mapping[str, str], files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the files that a machine lacks, or has with another content.

    Args:
        contents: path to content.
        files: of a survey.
    """
    return [
        path
        for path, content in contents.items()
        if not _is(files.get(path), {"checksum": hashlib.sha256(content.encode()).hexdigest()})
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


def _to_do(action: str, why: str) -> dict[str, str]:
    return {"action": action, "why": why}


def _bytes(size: str) -> int:
    found = SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size: write a number and a unit, such as 256m")
    return int(found["number"]) * 1024 ** " kmg".index(found["unit"].lower().replace("b", "") or " ")


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
            "container_digest": container_digest,
            "container_difference": container_difference,
            "container_plan": container_plan,
            "container_answers": container_answers,
            "first_of_each": first_of_each,
            "helpers_of": helpers_of,
            "planned_to": planned_to,
            "port_binding": port_binding,
            "secrets_to_write": secrets_to_write,
            "files_to_write": files_to_write,
            "surplus_replicas": surplus_replicas,
            "stray_containers": stray_containers,
            "users_of_volumes": users_of_volumes,
            "orphan_containers": orphan_containers,
        }
