"""Filters that turn what the roles say of their containers into what Docker Compose reads.

Where the description has a value of `.env`, it has `@KEY@` here (`env_placeholders`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

PLACEHOLDER = re.compile(r"@([A-Z0-9_]+)@")
# A line of .env.example; one that is commented out may be left out of a .env.
SETTING = re.compile(r"^(?P<optional>#?)(?P<key>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"
# Compose puts its own words before it: "required variable KEY is missing a value: ".
MISSING = "scripts/make_env makes .env"
# The variables that move a published port of the machine (docs/compose.md).
PORT_VARIABLES = {3000: "GATEWAY_PORT", 15672: "MANAGEMENT_PORT"}


def env_placeholders(example: str) -> dict[str, str]:
    """Give a placeholder for each key of `.env`.

    Args:
        example: the text of `.env.example`.
    """
    return {match["key"]: f"@{match['key']}@" for match in SETTING.finditer(example)}


def compose_text(text: str, example: str) -> str:
    """Write a text for Compose: `$` stands for itself, and a placeholder is what `.env` has.

    What `.env.example` gives a value is optional; without a value it must be set, unless it is commented out.

    Args:
        text: with placeholders.
        example: the text of `.env.example`.
    """
    return PLACEHOLDER.sub(lambda match: _variable(match[1], example), text.replace("$", "$$"))


def compose_values(texts: Iterable[str], example: str) -> list[str]:
    """List what the placeholders of some texts stand for: `KEY=VALUE` as Compose reads it, each key once."""
    keys = {key for text in texts for key in PLACEHOLDER.findall(text)}
    return [f"{key}={_variable(key, example)}" for key in sorted(keys)]


def _variable(key: str, example: str) -> str:
    settings = {match["key"]: match for match in SETTING.finditer(example)}
    value = settings[key]["value"]
    if value or settings[key]["optional"]:
        return f"${{{key}:-{value}}}"
    return f"${{{key}:?{MISSING}}}"


def compose_services(descriptions: Iterable[Mapping[str, Any]], example: str) -> list[dict[str, Any]]:
    """List what runs, in the order in which it starts: each container, and what runs once before or after it.

    Args:
        descriptions: of containers (roles/container/tasks/describe.yml), in the order in which they start.
        example: the text of `.env.example`.

    Returns:
        for each `name`; `once`, whether it ends by itself; `of`, the description of the container whose image
        it runs; `command`, none for the image's own; `environment`; `secrets`; `volumes` and `tmpfs`, as
        Compose writes them; `socket`, the options of the volume in memory that a server and its accounts
        share, if it has one; `network`, whether it has any; `needs`, from the name of what starts before to
        its condition.
    """
    containers = list(descriptions)
    names = [container["name"] for container in containers]
    servers = {container["name"] for container in containers if "accounts" in container}
    services = []
    for container in containers:
        name = container["name"]
        hosts = _hosts(container, names, example)
        needs = dict.fromkeys(hosts, HEALTHY)
        accounts = {f"{host}-accounts": COMPLETED for host in hosts if host in servers}
        if container["migration"]:
            services.append(_once(container, "migration", accounts))
            needs[f"{name}-migration"] = COMPLETED
        else:
            needs |= accounts
        services.append(_service(container, name, needs))
        if name in servers:
            services += _share_socket(services.pop(), _once(container, "accounts", {name: HEALTHY}))
    return services


def _service(container: Mapping[str, Any], name: str, needs: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "once": False,
        "of": container,
        "command": [],
        "environment": container["environment"],
        "secrets": container["secrets"],
        "volumes": [f"{volume['name']}:{volume['path']}" for volume in container["volumes"]],
        "tmpfs": container["tmpfs"],
        "socket": "",
        "network": True,
        "needs": {"secrets": COMPLETED, **needs},
    }


def _once(container: Mapping[str, Any], part: str, needs: Mapping[str, str]) -> dict[str, Any]:
    """Describe what runs once in the image of a container: its `migration`, or its `accounts`."""
    return {
        **_service(container, f"{container['name']}-{part}", needs),
        "once": True,
        "command": container[part]["command"],
        "environment": container[part].get("environment", container["environment"]),
        "secrets": container[part]["secrets"],
        "volumes": [],
    }


def _share_socket(server: Mapping[str, Any], accounts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put the server's socket on a volume in memory, which is all that its accounts are set up through."""
    path = server["of"]["accounts"]["socket"]
    [options] = [mount.removeprefix(f"{path}:") for mount in server["tmpfs"] if mount.startswith(f"{path}:")]
    volume = f"{server['name']}-socket:{path}"
    tmpfs = [mount for mount in server["tmpfs"] if not mount.startswith(f"{path}:")]
    return [
        {**server, "volumes": [*server["volumes"], volume], "tmpfs": tmpfs, "socket": options},
        {**accounts, "volumes": [f"{volume}:ro"], "tmpfs": tmpfs, "network": False},
    ]


def _hosts(container: Mapping[str, Any], names: Iterable[str], example: str) -> list[str]:
    """Name the other containers that the settings of one lead to, as a host or in a URL."""
    defaults = {match["key"]: match["value"] for match in SETTING.finditer(example)}
    values = [
        PLACEHOLDER.sub(lambda match: defaults[match[1]], str(value))
        for value in container["environment"].values()
    ]
    return [
        name
        for name in names
        if name != container["name"]
        and any(re.fullmatch(rf"(\w+://)?{re.escape(name)}(:\d+)?", value) for value in values)
    ]


def compose_secret_files(services: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """List the secret files of all services: `VOLUME/FILE`, its content with placeholders, its owner."""
    return [
        (f"{service['name']}-secrets/{name}", _readable(name, content), service["of"]["user"])
        for service in services
        for name, content in service["secrets"].items()
    ]


def _readable(name: str, content: str) -> str:
    """Write a JSON object of lists with a line for each of their items; anything else stays as it is."""
    if not name.endswith(".json"):
        return content.rstrip("\n")
    parts = []
    for key, items in json.loads(content).items():
        lines = ",\n".join(f"  {json.dumps(item)}" for item in items)
        parts.append(f' "{key}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}"


def compose_port(port: Mapping[str, Any]) -> str:
    """Write a published port, which a variable moves where it has one."""
    published = port.get("published_port", port["port"])
    variable = PORT_VARIABLES.get(port["port"])
    machine = f"${{{variable}:-{published}}}" if variable else str(published)
    address = "" if port["address"] == "0.0.0.0" else f"{port['address']}:"  # noqa: S104 (it is compared)
    return f"{address}{machine}:{port['port']}"


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filters by name."""
        return {
            "env_placeholders": env_placeholders,
            "compose_port": compose_port,
            "compose_secret_files": compose_secret_files,
            "compose_services": compose_services,
            "compose_text": compose_text,
            "compose_values": compose_values,
        }
