"""Filters that write and compare RabbitMQ's definitions (https://www.rabbitmq.com/docs/definitions)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

IDENTITY = {
    "vhosts": ("name",),
    "users": ("name",),
    "permissions": ("user", "vhost"),
    "exchanges": ("vhost", "name"),
    "queues": ("vhost", "name"),
    "bindings": ("vhost", "source", "destination_type", "destination", "routing_key"),
}
UNLIMITED_BY_ARGUMENT = 4
# The management API exports it, and the broker's command does not.
LEFT_OUT = {"internal": False}


def rabbitmq_user(account: Mapping[str, str], tags: Sequence[str], *, hashed: bool = True) -> dict[str, Any]:
    """Describes an account as definitions do, with the salted hash of its password.

    The salt comes from the account itself: the same password gives the same hash, so that a run that changes
    nothing reports nothing. Source: https://www.rabbitmq.com/docs/passwords#computing-password-hash

    Args:
        account: `user` and `password`.
        tags: what it may do at the management page, such as `administrator`.
        hashed: whether the password is hashed here; else the broker does it.
    """
    if not hashed:
        return {"name": account["user"], "password": account["password"], "tags": list(tags), "limits": {}}
    password = account["password"].encode()
    salt = hashlib.sha256(account["user"].encode() + b"\0" + password).digest()[:4]
    digest = base64.b64encode(salt + hashlib.sha256(salt + password).digest()).decode()
    return {
        "name": account["user"],
        "password_hash": digest,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(tags),
        "limits": {},
    }


def rabbitmq_permission(entry: Mapping[str, Any]) -> dict[str, str]:
    """Describes what an app's account may do; it may never configure anything."""
    return {
        "user": entry["account"]["user"],
        "vhost": "/",
        "configure": "^$",
        "write": entry["write"],
        "read": entry["read"],
    }


def rabbitmq_queue(entry: Mapping[str, Any], major: int) -> dict[str, Any]:
    """Describes a durable queue.

    From RabbitMQ 4.0 on, a quorum queue drops a message after 20 deliveries unless it is told not to; before,
    it takes no such number. Source: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling

    Args:
        entry: `name` and `arguments`.
        major: the broker's major version.
    """
    unlimited = {"x-delivery-limit": -1} if major >= UNLIMITED_BY_ARGUMENT else {}
    queue = {"vhost": "/", "durable": True, "auto_delete": False, **entry}
    if queue["arguments"].get("x-queue-type") == "quorum":
        queue["arguments"] = {**queue["arguments"], **unlimited}
    return queue


def rabbitmq_shovels(wanted: Mapping[str, Any], account: Mapping[str, str], host: str) -> dict[str, Any]:
    """Describes shovels that move what is in a broker's queues to another broker, through the same exchanges.

    A message is removed here when the other broker has confirmed it: one may arrive twice, and none is lost.
    Source: https://www.rabbitmq.com/docs/shovel-dynamic

    Args:
        wanted: the definitions of the other broker; each queue must have a binding.
        account: `user` and `password` of an account there.
        host: its name.
    """
    login = ":".join(quote(account[part], safe="") for part in ("user", "password"))
    shovels = [
        {
            "vhost": binding["vhost"],
            "component": "shovel",
            "name": binding["destination"],
            "value": {
                "src-protocol": "amqp091",
                "src-uri": "amqp://",
                "src-queue": binding["destination"],
                "dest-protocol": "amqp091",
                "dest-uri": f"amqp://{login}@{host}",
                "dest-exchange": binding["source"],
                "dest-exchange-key": binding["routing_key"],
                "ack-mode": "on-confirm",
            },
        }
        for binding in wanted["bindings"]
    ]
    return {"parameters": shovels}


def rabbitmq_before(data: Mapping[str, Any], major: int, image: str) -> dict[str, Any]:
    """Tell which broker has messages that another version has to take over.

    Args:
        data: `majors`, the versions whose data the volume holds, and `mark`, what this returned when an
            upgrade was begun that has not ended; empty without one.
        major: the version that is described.
        image: the image of the container that exists; empty without one.

    Returns:
        `major` and `image` of that broker (the latter is empty where no container has it); nothing where
        there is none.
    """
    mark: dict[str, Any] = data["mark"]
    if mark and mark["major"] != major:
        return mark
    # What was begun goes the other way now, or was never begun.
    others = [other for other in data["majors"] if other != major]
    if not others or (not mark and major in data["majors"]):
        return {}
    # One that failed and was put back runs the image of the mark: nothing runs that has the other's data.
    return {"major": others[0], "image": "" if mark and image == mark["image"] else image}


def rabbitmq_differences(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names what is missing at the broker or different from what is wanted; no password's hash.

    Args:
        actual: what the broker exports.
        wanted: the part of it that must be as described; what else exists is not looked at.
    """
    differences = []
    for section, keys in IDENTITY.items():
        existing = {tuple(item[key] for key in keys): item for item in actual.get(section, [])}
        for item in wanted.get(section, []):
            identity = tuple(item[key] for key in keys)
            name = " ".join(part for part in identity if part)
            if identity not in existing:
                differences.append(f"{section}: {name} is missing")
            elif any({**LEFT_OUT, **existing[identity]}.get(key) != value for key, value in item.items()):
                differences.append(f"{section}: {name} is different")
    return differences


def rabbitmq_undescribed(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Give the paths, below the management API, of accounts, policies and parameters that are not described.

    A parameter is what an upgrade that was cut off left of its shovels, with a password (`rabbitmq_shovels`).

    Args:
        actual: what the broker exports.
        wanted: what is described.
    """
    described = {user["name"] for user in wanted["users"]}
    users = [user["name"] for user in actual.get("users", []) if user["name"] not in described]
    paths = [("users", name) for name in users]
    paths += [("policies", policy["vhost"], policy["name"]) for policy in actual.get("policies", [])]
    paths += [
        ("parameters", parameter["component"], parameter["vhost"], parameter["name"])
        for parameter in actual.get("parameters", [])
    ]
    return ["/".join(quote(part, safe="") for part in path) for path in paths]


def rabbitmq_queues_elsewhere(answer: Mapping[str, Any], node: str) -> list[str]:
    """Name the quorum queues that a broker of a cluster does not keep.

    Args:
        answer: what `describe-broker` printed.
        node: the broker, such as `rabbit@host`.
    """
    return [
        queue["name"] for queue in answer["queues_kept"] if queue["members"] and node not in queue["members"]
    ]


def rabbitmq_nodes_undescribed(answer: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    """Name the brokers that a cluster knows and that are not described.

    Args:
        answer: what `describe-broker` printed.
        hosts: of the brokers that are described.
    """
    return sorted(set(answer["cluster"]["disk_nodes"]) - {f"rabbit@{host}" for host in hosts})


def rabbitmq_acquainted(machines: Iterable[Mapping[str, Any]], name: str, node: str) -> list[str]:
    """Name the machines whose broker has answered and knows another one.

    Args:
        machines: the variables of each, with its `container_survey`.
        name: of the brokers' containers.
        node: the other broker, such as `rabbit@host`.
    """
    surveyed = {
        machine["inventory_hostname"]: machine["container_survey"]["containers"].get(name, {})
        for machine in machines
    }
    return [
        machine
        for machine, found in surveyed.items()
        if found.get("answer") and node in found["answer"].get("cluster", {}).get("disk_nodes", [])
    ]


def rabbitmq_cluster_differences(answer: Mapping[str, Any], node: str, hosts: Sequence[str]) -> list[str]:
    """Tell what is not as described with the cluster of a broker.

    Args:
        answer: what `describe-broker` printed.
        node: the broker, such as `rabbit@host`.
        hosts: of all brokers of the cluster.
    """
    return [f"queues: {name} is not kept here" for name in rabbitmq_queues_elsewhere(answer, node)] + [
        f"{other} is not described" for other in rabbitmq_nodes_undescribed(answer, hosts)
    ]


def curl_login(account: Mapping[str, str]) -> str:
    """Write a configuration file of curl that logs in, with any password: a netrc file knows no escapes.

    Source: curl's manual, --config.

    Args:
        account: `user` and `password`.
    """
    password = account["password"].replace("\\", "\\\\").replace('"', '\\"')
    return f'user = "{account["user"]}:{password}"\n'


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, Any]:
        """Returns the filters by name."""
        return {
            "rabbitmq_user": rabbitmq_user,
            "rabbitmq_permission": rabbitmq_permission,
            "rabbitmq_queue": rabbitmq_queue,
            "rabbitmq_shovels": rabbitmq_shovels,
            "rabbitmq_before": rabbitmq_before,
            "rabbitmq_differences": rabbitmq_differences,
            "rabbitmq_undescribed": rabbitmq_undescribed,
            "rabbitmq_queues_elsewhere": rabbitmq_queues_elsewhere,
            "rabbitmq_acquainted": rabbitmq_acquainted,
            "rabbitmq_nodes_undescribed": rabbitmq_nodes_undescribed,
            "rabbitmq_cluster_differences": rabbitmq_cluster_differences,
            "curl_login": curl_login,
        }
