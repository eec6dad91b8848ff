"""Filters for a service of a Swarm: what has to be done, and how docker_swarm_service takes its parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What Docker calls an update that is over and has failed.
FAILED = ("paused", "rollback_paused", "rollback_completed")


def swarm_service_plan(survey: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, str]]:
    """List what has to be done for a service of a Swarm, in the order in which it is done.

    Args:
        survey: of a manager, as the module container_survey returns it.
        wanted: `service`; `image`, its name and tag; `description`, the digest of what it is made with.
    """
    service = wanted["service"]
    found = survey["swarm"]["services"].get(service)
    steps: list[tuple[str, str]] = []
    if wanted["image"] not in survey["images"]:
        steps.append(("build its image", "the machine does not have it"))
    if found is None:
        steps.append(("create", "the Swarm does not have it"))
    elif found["description"] != wanted["description"]:
        steps.append(("update", "its description changed"))
    elif found["update"] not in ("", "completed"):
        steps.append(("update", f"its last update is {found['update']}"))
    return [{"service": service, "container": service, "do": do, "why": why} for do, why in steps]


def swarm_secrets(secrets: Mapping[str, str], service: str) -> dict[str, str]:
    """Name the secrets of a service in a Swarm, where a secret never changes: another content is another one.

    Args:
        secrets: file name to content.
        service: whose they are.

    Returns:
        Name in the Swarm to file name.
    """
    return {
        f"{service}.{name}.{hashlib.sha256(content.encode()).hexdigest()[:12]}": name
        for name, content in secrets.items()
    }


def swarm_ports(ports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write published ports as each machine's own: the mesh between machines needs IPVS."""
    return [
        {
            "published_port": port.get("published_port", port["port"]),
            "target_port": port["port"],
            "mode": "host",
        }
        for port in ports
    ]


def swarm_mounts(
    volumes: Iterable[Mapping[str, str]], tmpfs: Iterable[Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Write what a task mounts: a volume is the machine's own, and a tmpfs that anybody may write to."""
    return [{"type": "volume", "source": volume["name"], "target": volume["path"]} for volume in volumes] + [
        {"type": "tmpfs", "target": item["path"], "tmpfs_size": item["size"], "tmpfs_mode": 0o1777}
        for item in tmpfs
    ]


def cluster_hosts(machines: Iterable[str], service: str) -> dict[str, str]:
    """Give the container of each machine a name on the network that spans them, such as `rabbitmq-host-1`.

    Args:
        machines: hosts of the inventory.
        service: of which each has a container.
    """
    return {machine: f"{service}-{re.sub('[^a-z0-9-]', '-', machine.lower())}" for machine in machines}


def swarm_progress(lines: Sequence[str]) -> str:
    """Tell how far a service is.

    Args:
        lines: the state of its last update, which is empty where there was none, then how many of its tasks
            run, as `docker service ls` writes it: `2/3`.

    Returns:
        `done`, `failed`, or `going on`.
    """
    state, tasks = lines
    running, _, wanted = tasks.partition(" ")[0].partition("/")
    if state in FAILED:
        return "failed"
    return "done" if state in ("", "completed") and running == wanted else "going on"


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "swarm_service_plan": swarm_service_plan,
            "swarm_secrets": swarm_secrets,
            "swarm_ports": swarm_ports,
            "swarm_mounts": swarm_mounts,
            "swarm_progress": swarm_progress,
            "cluster_hosts": cluster_hosts,
        }
