#!/usr/bin/python
"""Module: looks at a machine once, for all that a plan is made from."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts.system.distribution import DistributionFactCollector
from ansible.module_utils.facts.system.dns import DnsFactCollector
from ansible.module_utils.facts.system.service_mgr import ServiceMgrFactCollector

DOCUMENTATION = """
module: container_survey
author: the Play with Containers authors
short_description: Looks at a machine once, for all that a plan is made from
description:
  - Lists what the Docker Engine has, hashes the files that containers mount, and asks the containers that
    have the label C(play-with-containers.question) about what is inside them.
  - A machine without an engine that answers has nothing. Changes nothing.
  - Gathers the facts of Ansible that the roles need, too: a task of C(setup) would take as long again.
options:
  paths:
    description: Files, and directories with all that is below them, to hash; what does not exist is left out.
    required: true
    type: list
    elements: path
  texts:
    description: Files whose content is returned; one that does not exist is left out.
    default: []
    type: list
    elements: path
  services:
    description: Whose containers are asked; those of all services where there is none.
    default: []
    type: list
    elements: str
"""

RETURN = """
ansible_facts:
  description: Those about the distribution, C(service_mgr) and C(dns), as C(setup) gathers them.
  returned: success
  type: dict
survey:
  description:
    - C(engine), empty, or why the Docker Engine or the modules that talk to it cannot be used.
    - C(images), each name with tag, and its id; C(networks), their names.
    - C(containers), those with the label of a service, by name. C(foreign), the names of all others, each
      with the volumes that it uses while it runs.
    - C(swarm), the C(state) that the engine calls its part in a Swarm, the id of its C(cluster), and the
      C(services) of ours that a manager knows, each with its C(description) and how its last C(update) went.
    - C(files), each path with its mode, owner, group and SHA-256. C(texts), each path with its content.
    - C(memory_mib), what the machine has. C(free_mib), the free disk space C(for_docker), in the engine's
      directory, and C(for_system), the least of where builds, secrets and records are.
    - C(slowness), how many times longer than a usual one its processor takes, a whole number from 1 on.
  returned: success
  type: dict
"""

SERVICE = "play-with-containers.service"
DESCRIPTION = "play-with-containers.description"
QUESTION = "play-with-containers.question"
ANSWER_SECONDS = 20
# What `slowness` counts to takes a usual processor so long; an emulated one takes ten times as long.
USUAL_SECONDS = 0.012
# Builds, secrets and records.
WRITTEN_TO = ("/var/lib", "/var/tmp", "/etc")  # noqa: S108
STOPPED = ("created", "exited", "dead", "removing")


def docker(*arguments: str, patience: float = 60) -> str:
    """Return what the command printed.

    Raises:
        RuntimeError: it failed; with what it complained about.
    """
    done = subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    # A container or a volume that goes while it is listed is no error: the rest is printed.
    if done.returncode and "No such" not in done.stderr:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def answer(container: dict[str, Any], patience: float) -> Any:
    """Return what a container says about what is inside it, or nothing; waits for so many seconds."""
    question = container["Config"]["Labels"].get(QUESTION)
    if not question or not container["State"]["Running"] or container["State"]["Paused"]:
        return None
    try:
        return json.loads(docker("exec", container["Id"], *json.loads(question), patience=patience))
    except (RuntimeError, ValueError, subprocess.TimeoutExpired):
        return None


def summary(container: dict[str, Any]) -> dict[str, Any]:
    """Return of a container what a plan needs."""
    state, limits = container["State"], container["HostConfig"]
    return {
        "service": container["Config"]["Labels"][SERVICE],
        "description": container["Config"]["Labels"].get(DESCRIPTION, ""),
        "image": container["Image"],
        "running": state["Status"] not in STOPPED,
        "paused": state["Paused"],
        "health": state.get("Health", {}).get("Status", "none"),
        "memory": limits["Memory"],
        "memory_swap": limits["MemorySwap"],
        "pids": limits["PidsLimit"],
        "restart": limits["RestartPolicy"]["Name"],
        "networks": {
            name: network["Aliases"] or []
            for name, network in container["NetworkSettings"]["Networks"].items()
        },
    }


def volumes_in_use(container: dict[str, Any]) -> list[str]:
    """Return the names of the volumes that a container has open."""
    if container["State"]["Status"] in STOPPED:
        return []
    return [mount["Name"] for mount in container["Mounts"] if mount["Type"] == "volume"]


def engine_survey(services: Sequence[str] = (), patience: float = ANSWER_SECONDS) -> dict[str, Any]:
    """Return what the engine has.

    Args:
        services: whose containers are asked; those of all where there is none.
        patience: how long a container may take for its answer, in seconds.
    """
    formats = {
        "images": ("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"),
        "networks": ("network", "ls", "--format", "{{.Name}}"),
        "ids": ("ps", "--all", "--quiet", "--no-trunc"),
        "info": ("info", "--format", "{{json .DockerRootDir}}{{println}}{{json .Swarm}}"),
    }
    with ThreadPoolExecutor() as threads:
        found = dict(
            zip(
                formats,
                threads.map(lambda command: docker(*command).splitlines(), formats.values()),
                strict=True,
            )
        )
        containers = json.loads(docker("inspect", *found["ids"])) if found["ids"] else []
        named = {container["Name"][1:]: container for container in containers}
        ours = {name: item for name, item in named.items() if SERVICE in (item["Config"]["Labels"] or {})}
        answers = {
            name: threads.submit(answer, item, patience)
            for name, item in ours.items()
            if not services or item["Config"]["Labels"][SERVICE] in services
        }
        root, swarm = map(json.loads, found["info"])
        return {
            "images": dict(line.rsplit(" ", 1) for line in found["images"] if "<none>" not in line),
            "networks": found["networks"],
            # Docker's data may have a disk of its own.
            "free_mib": free_mib(root),
            "swarm": swarm_survey(swarm),
            "containers": {
                name: {**summary(item), "answer": answers[name].result() if name in answers else None}
                for name, item in ours.items()
            },
            "foreign": {name: volumes_in_use(item) for name, item in named.items() if name not in ours},
        }


def swarm_survey(info: dict[str, Any]) -> dict[str, Any]:
    """Return what a plan needs of a Swarm, from what the engine says of it."""
    found: dict[str, Any] = {
        "state": info["LocalNodeState"],
        "cluster": (info.get("Cluster") or {}).get("ID", ""),
        "services": {},
    }
    ids = (
        docker("service", "ls", "--quiet", "--filter", f"label={SERVICE}").split()
        if info["ControlAvailable"]
        else []
    )
    for service in json.loads(docker("service", "inspect", *ids)) if ids else []:
        found["services"][service["Spec"]["Name"]] = {
            "description": service["Spec"]["Labels"].get(DESCRIPTION, ""),
            "update": (service.get("UpdateStatus") or {}).get("State", ""),
        }
    return found


def file_survey(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Return each of these files, and all that is below these directories, with what a plan needs of it."""
    below = [
        os.path.join(above, name)
        for path in paths
        for above, directories, names in os.walk(path)
        for name in directories + names
    ]
    found = {}
    for path in filter(os.path.lexists, [*paths, *below]):
        status = os.lstat(path)
        checksum = None
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as content:
                checksum = hashlib.sha256(content.read()).hexdigest()
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        found[path] = {"mode": mode, "uid": status.st_uid, "gid": status.st_gid, "checksum": checksum}
    return found


def free_mib(docker_root: str = "/var/lib") -> dict[str, int]:
    """Return the free disk space in MiB."""

    def free(path: str) -> int:
        return shutil.disk_usage(path).free >> 20

    return {"for_docker": free(docker_root), "for_system": min(map(free, WRITTEN_TO))}


def slowness() -> int:
    """Return how many times longer than a usual one this processor takes, whatever else it does."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        sum(number * number % 7 for number in range(100_000))
        best = min(best, time.process_time() - started)
    return max(1, int(best / USUAL_SECONDS))


def facts(module: AnsibleModule) -> dict[str, Any]:
    """Return the facts that the roles need."""
    found = DistributionFactCollector().collect(module)
    known = {"ansible_system": "Linux", "ansible_distribution": found["distribution"]}
    found |= ServiceMgrFactCollector().collect(module, known) | DnsFactCollector().collect(module)
    return {f"ansible_{name}": value for name, value in found.items()}


def text(path: str) -> str:
    """Return the content of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def main() -> None:
    """Entry point for Ansible."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "texts": {"type": "list", "elements": "path", "default": []},
            "services": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    survey = {
        "slowness": slowness(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "free_mib": free_mib(),
        "engine": "",
        "images": {},
        "networks": [],
        "containers": {},
        "foreign": {},
        "swarm": {"state": "inactive", "cluster": "", "services": {}},
        "files": file_survey(module.params["paths"]),
        "texts": {path: text(path) for path in module.params["texts"] if os.path.exists(path)},
    }
    try:
        if shutil.which("docker") is None:
            raise RuntimeError("it is not installed")
        if importlib.util.find_spec("requests") is None:
            raise RuntimeError("python3-requests, which Ansible's modules need, is not installed")
        survey.update(engine_survey(module.params["services"], ANSWER_SECONDS * survey["slowness"]))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        survey["engine"] = str(error)
    module.exit_json(changed=False, ansible_facts=facts(module), survey=survey)


if __name__ == "__main__":
    main()
