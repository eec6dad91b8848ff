#!/usr/bin/python
"""Module: waits until a container is healthy, or says why it is not."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: container_healthy
author: the Play with Containers authors
short_description: Waits until a container is healthy, or says why it is not
description:
  - Waits as long as the container's own health check may take, not a fixed time, and gives up at once where
    waiting is of no use. Fails with what the health check said and the last lines of the container's log.
  - While Docker has not had an answer yet, it runs the check itself. Docker runs the first one only after an
    interval, and goes on to call the container C(starting) until then.
  - In check mode it does not wait.
options:
  name:
    description: Name of the container.
    required: true
    type: str
  patience:
    description: Multiplies how long to wait, for slow machines.
    default: 1
    type: int
"""

ENDED = ("exited", "dead", "removing", "paused")
SECOND = 1_000_000_000
PAUSE = 0.5
DOCKER_SECONDS = 60


def inspect(name: str) -> dict[str, Any] | None:
    """Return what the engine knows of a container, or nothing where there is none."""
    done = subprocess.run(
        ["docker", "inspect", "--type", "container", name],
        capture_output=True,
        text=True,
        timeout=DOCKER_SECONDS,
        check=False,
    )
    if done.returncode:
        return None
    container: dict[str, Any] = json.loads(done.stdout)[0]
    return container


def limit(container: dict[str, Any], patience: int) -> float:
    """Return the seconds that a container gets: its start period, and then all its retries."""
    check = container["Config"].get("Healthcheck") or {}
    tries = check.get("Retries") or 3
    each = (check.get("Interval") or 30 * SECOND) + (check.get("Timeout") or 30 * SECOND)
    return float(((check.get("StartPeriod") or 0) + each * tries) / SECOND * patience + 10)


def status(container: dict[str, Any] | None) -> str:
    """Return the health of a container; `hopeless` where it cannot become healthy by itself."""
    if container is None:
        return "hopeless"
    state = container["State"]
    health: str = state.get("Health", {}).get("Status", "none")
    if health != "healthy" and (
        health == "none" or state["Status"] in ENDED or container["RestartCount"] > 2
    ):
        return "hopeless"
    return health


def reason(name: str, container: dict[str, Any] | None) -> str:
    """Return why a container is not healthy, in lines."""
    if container is None:
        return f"{name} is gone."
    state = container["State"]
    killed = " (killed for lack of memory)" if state["OOMKilled"] else ""
    code = "" if state["Running"] else f" (exit code {state['ExitCode']})"
    health = state.get("Health", {})
    answers = [entry["Output"].strip() for entry in health.get("Log") or []]
    logged = subprocess.run(
        ["docker", "logs", "--tail", "20", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=DOCKER_SECONDS,
        check=False,
    ).stdout
    return "\n".join(
        [
            f"{name} is {state['Status']}{killed}{code}.",
            f"Its health check says {health.get('Status', 'nothing')}: "
            + (answers[-1] if answers and answers[-1] else "no answer yet"),
            "Last lines of its log:",
            *logged.splitlines()[-20:],
        ]
    )


def check_passes(container: dict[str, Any]) -> bool:
    """Return whether the health check of a running container passes now."""
    check = container["Config"]["Healthcheck"]
    kind, *words = check["Test"]
    try:
        done = subprocess.run(
            ["docker", "exec", container["Id"], *(["/bin/sh", "-c"] if kind == "CMD-SHELL" else []), *words],
            capture_output=True,
            timeout=(check.get("Timeout") or 30 * SECOND) / SECOND,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def wait(name: str, patience: int) -> str:
    """Wait until a container is healthy; returns nothing then, or why it is not."""
    started = time.monotonic()
    while True:
        container = inspect(name)
        found = status(container)
        if found == "healthy" or (found == "starting" and container and check_passes(container)):
            return ""
        if (
            container is None
            or found == "hopeless"
            or time.monotonic() - started > limit(container, patience)
        ):
            return reason(name, container)
        time.sleep(PAUSE)


def main() -> None:
    """Entry point for Ansible."""
    module = AnsibleModule(
        argument_spec={"name": {"required": True}, "patience": {"type": "int", "default": 1}},
        supports_check_mode=True,
    )
    # What would have started it has not.
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        trouble = wait(module.params["name"], module.params["patience"])
    except subprocess.TimeoutExpired as error:
        trouble = f"Docker does not answer: {error}"
    if trouble:
        module.fail_json(msg=trouble)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
