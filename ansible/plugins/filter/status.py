"""Filters that make the platform's status of what Docker and the containers answer, and a table of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

SERVICE = "play-with-containers.service"
IMAGE = "play-with-containers.image"
BUILT = "play-with-containers.built"
BASE_BUILT = "play-with-containers.base-built"
UNITS = {"B": 1, "kB": 10**3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
NETWORK_ADVICE = (
    "Each container is healthy, so it may be the network between them: a firewall that is reloaded removes "
    "Docker's rules. `ansible-playbook site.yml` finds that out and restarts Docker (by hand: `systemctl "
    "restart docker`)."
)
COLUMNS = ("container", "image", "built", "base", "health", "since", "restarts", "memory", "volumes")


def status_document(
    host: str,
    *,
    containers: Sequence[Mapping[str, Any]],
    engine: Mapping[str, Any],
    memory_lines: Iterable[str],
    printed: Mapping[str, str],
    disk: str,
    order: Sequence[str],
    swarm: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe what runs on a machine. Ages are in seconds, sizes in bytes, moments in ISO 8601.

    Args:
        host: the machine's name in the inventory.
        containers: as `docker inspect` shows them.
        engine: the engine's images, and its volumes with their sizes, as docker_host_info gives them.
        memory_lines: what `docker stats` prints, a JSON document for each container.
        printed: what was printed by rabbitmqctl (`queues`), by the gateway's health check (`gateway`) and by
            `play-with-containers-backup list` (`backups`); empty where there was no answer.
        disk: size and free space, in bytes.
        order: the services in the order of the description.
        swarm: see `swarm_status`; None where there is none.
    """
    labels = {image["Id"]: image.get("Labels") or {} for image in engine["images"]}
    volumes = engine["disk_usage"]["Volumes"] or []
    sizes = {volume["Name"]: volume["UsageData"]["Size"] for volume in volumes if volume.get("UsageData")}
    memory = {
        line["Name"]: _bytes(line["MemUsage"].split(" / ")[0]) for line in map(json.loads, memory_lines)
    }
    found = [_container(item, labels, sizes, memory) for item in containers]
    position = {name: number for number, name in enumerate(order)}
    found.sort(key=lambda item: (position.get(item["service"], len(order)), len(item["name"]), item["name"]))
    size, free = map(int, disk.split())
    # The tasks of a Swarm may be on other machines.
    names = {item["name"] for item in found} | set((swarm or {"services": {}})["services"])
    return {
        "host": host,
        "containers": found,
        "missing": [name for name in order if name not in names],
        "queues": {queue["name"]: queue["messages"] for queue in json.loads(printed["queues"])}
        if printed["queues"].strip()
        else None,
        "gateway": gateway_answer(printed["gateway"]),
        "order_store_depth": _store_depth(gateway_answer(printed["gateway"])),
        "backups": json.loads(printed["backups"]) if printed["backups"].strip() else None,
        "disk": {"size": size, "free": free},
        "swarm": swarm,
    }


def swarm_status(
    machines: Iterable[str], services: Iterable[str], servers: Mapping[str, str], kept: Mapping[str, str]
) -> dict[str, Any]:
    """Describe a Swarm, as one of its machines sees it.

    Args:
        machines: lines of `docker node ls`: name, state, and whether it is given tasks.
        services: lines of `docker service ls`: name, and how many of how many tasks run, as `2/3`.
        servers: name of each database's container to what `patronictl list` prints; empty without an answer.
        kept: name of each database to what `database-beside look` prints; no number without an answer.
    """
    return {
        "machines": dict(line.split(" ", 1) for line in machines),
        "services": dict(line.split()[:2] for line in services),
        "databases": {
            database: {member["Member"].removeprefix(f"{database}-"): member["Role"] for member in members}
            for database, printed in servers.items()
            if (members := _list(printed))
        },
        "kept": [database for database, since in kept.items() if since.strip().isdigit() and int(since)],
    }


def _list(printed: str) -> list[dict[str, Any]]:
    # Patroni warns in lines of text where etcd is slow.
    found = re.search(r"^\[.*\]$", printed, re.MULTILINE | re.DOTALL)
    return json.loads(found[0]) if found else []


def status_text(document: Mapping[str, Any]) -> str:
    """Write a status as a table for people."""
    if not document["containers"]:
        return f"No container of the platform is on {document['host']}. Start it with `make up`."
    rows = [COLUMNS, *(_row(container) for container in document["containers"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    queues = document["queues"]
    depths = (
        "; ".join(f"{name}: {counted(count, 'message')}" for name, count in sorted(queues.items()))
        if queues is not None
        else "the broker does not say how many messages it has"
    )
    store = document["order_store_depth"]
    disk = document["disk"]
    lines += [
        "",
        f"the gateway says: {_gateway_text(document['gateway'])}",
        depths,
        f"the gateway's own store: {'it does not say' if store is None else counted(store, 'order')}",
        f"disk: {_size(disk['free'])} of {_size(disk['size'])} free",
    ]
    if _is_only_the_network(document):
        lines.append(NETWORK_ADVICE)
    lines += _swarm_lines(document["swarm"])
    lines += _backup_lines(document["backups"])
    if document["missing"]:
        lines.append(
            f"without a container: {', '.join(document['missing'])}; `ansible-playbook site.yml` makes them"
        )
    return "\n".join(lines)


def _swarm_lines(swarm: Mapping[str, Any] | None) -> list[str]:
    if swarm is None:
        return []
    if not swarm["machines"]:
        return ["the Swarm does not answer: fewer than half of its machines may be there"]
    lines = [
        "the Swarm's machines: "
        + ", ".join(f"{name} {state.lower()}" for name, state in swarm["machines"].items()),
        "its tasks: " + ", ".join(f"{name} {tasks}" for name, tasks in swarm["services"].items()),
    ]
    for database, servers in swarm["databases"].items():
        roles = [f"{role.replace('Leader', 'primary').lower()} {name}" for name, role in servers.items()]
        lines.append(f"{database}: {', '.join(sorted(roles))}")
    if swarm["kept"]:
        told = ", ".join(swarm["kept"])
        lines.append(f"kept from before restores: {told}; `make restore-discard` removes them")
    return lines


def _backup_lines(backups: Mapping[str, Any] | None) -> list[str]:
    if backups is None:
        return ["backups: the machine does not say"]
    names, kept = backups["backups"], backups["kept"]
    lines = [
        f"backups: {len(names)}, the newest of {names[0]}"
        if names
        else "backups: none; `make backup` makes one"
    ]
    if backups["failed"]:
        lines.append(
            "the last scheduled backup FAILED: `journalctl -u play-with-containers-backup` says why there"
        )
    if kept:
        told = ", ".join(f"{item['name']} ({_size(item['bytes'])})" for item in kept)
        lines.append(f"kept from before restores: {told}; `make restore-discard` removes them")
    return lines


def image_names(image: Mapping[str, Any]) -> list[str]:
    """Give the names by which an image is removed: its tags, or its id where it has none."""
    tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
    return tags or [image["Id"]]


def platform_order(
    container: Mapping[str, Any], services: Sequence[str], label: str = SERVICE
) -> tuple[int, int, str]:
    """Give what sorts containers into the order in which they start, the container's name last.

    Args:
        container: as the engine lists it.
        services: in their order.
        label: of the container, that says whose it is.
    """
    service = container["Labels"][label]
    name = container["Names"][0].removeprefix("/")
    return (services.index(service) if service in services else len(services), len(name), name)


def _container(
    item: Mapping[str, Any],
    labels: Mapping[str, Mapping[str, str]],
    sizes: Mapping[str, int],
    memory: Mapping[str, int],
) -> dict[str, Any]:
    name = item["Name"].removeprefix("/")
    state, own_labels = item["State"], item["Config"]["Labels"]
    image_labels = labels.get(item["Image"], {})
    running = state["Running"]
    return {
        "name": name,
        # A Swarm's tasks have the labels of their image alone.
        "service": own_labels.get(SERVICE) or own_labels[IMAGE],
        "image": item["Config"]["Image"],
        "image_age": _age(image_labels.get(BUILT)),
        "base_age": _age(image_labels.get(BASE_BUILT)),
        "state": state["Status"],
        "health": (state.get("Health") or {}).get("Status") if running else None,
        "since": state["StartedAt"] if running else state["FinishedAt"],
        "restarts": item["RestartCount"],
        "memory": memory.get(name) if running else None,
        "memory_limit": item["HostConfig"]["Memory"],
        "volumes": {
            mount["Name"]: sizes.get(mount["Name"]) for mount in item["Mounts"] if mount["Type"] == "volume"
        },
    }


def _row(container: Mapping[str, Any]) -> tuple[str, ...]:
    used = sum(size for size in container["volumes"].values() if size)
    return (
        # A task's name ends in its id.
        re.sub(r"\.[a-z0-9]{25}", "", container["name"]),
        container["image"].rpartition(":")[2],
        _duration(container["image_age"]),
        _duration(container["base_age"]),
        container["health"] or container["state"],
        _duration(_age(container["since"])),
        str(container["restarts"]),
        f"{_size(container['memory'])} of {_size(container['memory_limit'])}",
        _size(used) if container["volumes"] else "",
    )


def gateway_answer(printed: str) -> dict[str, Any] | None:
    """Give the gateway's answer to /health/ready, of what its health check prints; None without one."""
    found = re.search(r"\{.*\}", printed, re.DOTALL)
    return json.loads(found[0]) if found else None


def gateway_status(printed: str) -> str:
    """Give the status in the gateway's answer, such as "ready"; empty where there is none."""
    answer = gateway_answer(printed)
    return str(answer["status"]) if answer else ""


def gateway_text(printed: str) -> str:
    """Write the answer of a gateway that is not ready, while each container is healthy, for people."""
    return f"{_gateway_text(gateway_answer(printed))}. {NETWORK_ADVICE}"


def _gateway_text(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return "nothing (it does not answer)"
    down = [
        f"{name}: {check.get('reason', 'down')}"
        for name, check in answer["dependencies"].items()
        if check["status"] != "up"
    ]
    return "; ".join([str(answer["status"]), *down])


def _is_only_the_network(document: Mapping[str, Any]) -> bool:
    gateway = document["gateway"]
    is_ready = gateway is not None and gateway["status"] == "ready"
    return (
        not is_ready
        and not document["missing"]
        and all(container["health"] == "healthy" for container in document["containers"])
    )


def _store_depth(gateway: Mapping[str, Any] | None) -> int | None:
    depth = (gateway or {"dependencies": {}})["dependencies"].get("order-store", {}).get("depth")
    return None if depth is None else int(depth)


def _age(moment: str | None) -> int | None:
    if not moment:
        return None
    # Docker writes nanoseconds, which Python does not read. All moments are UTC.
    parsed = datetime.fromisoformat(re.sub(r"\.\d+|Z$|\+00:00$", "", moment)).replace(tzinfo=UTC)
    return max(0, int((datetime.now(UTC) - parsed).total_seconds()))


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "?"
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def counted(number: int | str, noun: str) -> str:
    """Write a number of things: `1 container`, `3 containers`.

    Args:
        number: how many.
        noun: the thing, in the singular; its plural ends in s.
    """
    return f"{number} {noun}" if int(number) == 1 else f"{number} {noun}s"


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text.strip()).groups()
    return int(float(number) * UNITS[unit])


def _size(number: int | None) -> str:
    if number is None:
        return "?"
    if number < 2**20:
        return f"{number // 2**10} KiB"
    return f"{number // 2**20} MiB" if number < 10 * 2**30 else f"{number // 2**30} GiB"


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "status_document": status_document,
            "status_text": status_text,
            "swarm_status": swarm_status,
            "gateway_status": gateway_status,
            "gateway_text": gateway_text,
            "image_names": image_names,
            "platform_order": platform_order,
            "counted": counted,
        }
