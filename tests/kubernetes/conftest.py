"""The pods on the node, and what Kubernetes would do with them that podman does not."""

from __future__ import annotations

import json
import os
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host
from tests.library.kubernetes import Manifest, workloads
from tests.library.support import wait_until


class Pods:
    """The pods of the manifests, asked through the node's shell."""

    def __init__(self, host: Host, manifests: list[Manifest]) -> None:
        self._host = host
        self.servers = {
            each["metadata"]["name"]: each for each in workloads(manifests) if each["kind"] != "Job"
        }
        self.jobs = [each["metadata"]["name"] for each in workloads(manifests) if each["kind"] == "Job"]

    def run(self, command: str) -> str:
        """Run a shell command on the node, which must succeed."""
        done = self._host.run(command)
        assert done.rc == 0, (
            f"exit code {done.rc}: {command[:300]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
        return str(done.stdout)

    def inspect(self, pod: str, container: str) -> dict[str, Any]:
        """Describe a container as it is now."""
        [described] = json.loads(self.run(f"podman container inspect {pod}-{container}"))
        return dict(described)

    def address(self, pod: str) -> str:
        """Return the address of a pod."""
        infra = self.run(f"podman pod inspect {pod} --format '{{{{.InfraContainerID}}}}'").strip()
        [described] = json.loads(self.run(f"podman container inspect {infra}"))
        return str(described["NetworkSettings"]["Networks"]["cluster"]["IPAddress"])

    def passes(self, pod: str, container: str, probe: Manifest) -> bool:
        """Say whether a probe succeeds now."""
        if "exec" in probe:
            command = shlex.join(probe["exec"]["command"])
            return bool(self._host.run(f"podman exec {pod}-{container} {command}").rc == 0)
        url = f"http://{self.address(pod)}:{probe['httpGet']['port']}{probe['httpGet']['path']}"
        script = f"import urllib.request; urllib.request.urlopen({url!r}, timeout={probe['timeoutSeconds']})"
        return bool(self._host.run(f"python3 -c {shlex.quote(script)}").rc == 0)

    def wait_ready(self) -> None:
        """Wait until each container of each server is ready."""
        for pod, manifest in self.servers.items():
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                name = f"{pod}-{container['name']}"
                wait_until(
                    partial(self.passes, pod, container["name"], container["readinessProbe"]),
                    f"{name} is ready",
                    seconds=120,
                    interval=0.5,
                    explain=partial(self.run, f"podman logs --tail 20 {name} 2>&1"),
                )

    def wait_process(self, pod: str, container: str, former: int) -> None:
        """Wait until a container has another process than a former one."""
        wait_until(
            lambda: self.inspect(pod, container)["State"]["Pid"] not in {0, former},
            f"{container} of {pod} runs again",
        )


@pytest.fixture(scope="session")
def manifests() -> list[Manifest]:
    """What kubectl would send."""
    return list(yaml.safe_load_all(Path(os.environ["KUBERNETES_MANIFESTS"]).read_text()))


@pytest.fixture(scope="module")
def pods(host: Host, manifests: list[Manifest]) -> Pods:
    """The pods, ready."""
    made = Pods(host, manifests)
    made.wait_ready()
    return made
