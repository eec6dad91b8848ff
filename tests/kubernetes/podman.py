"""The manifests as podman 4.3 can read them: python -m tests.kubernetes.podman OVERLAY DIRECTORY.

Writes manifests.yaml, what kubectl makes of the overlay, and podman.yaml, which differs from it in this:

- Podman has no StatefulSet or Job, and no Deployment with a pod of its name: each becomes its pod. So
  there is one of each, a claim is a volume of its name, and what runs once is begun again until it
  succeeds.
- It has one volume in memory for all pods that call theirs alike: each gets a name of its own.
- It writes the files of a Secret in base64: they become ConfigMaps. No file gets the mode or the group
  that is asked for: the tests give it, before they kill what reads it.
- It has no cluster domain: names are those of pods. A port of a container is one of the node: only the
  gateway has one.
- It asks over HTTP with curl, which the apps' images do not have, and knows no readiness: the tests ask
  instead.
- What only a cluster has is left out: Namespace, Service, NetworkPolicy, PodDisruptionBudget, and
  HorizontalPodAutoscaler.
"""

from __future__ import annotations

import base64
import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from tests.library.kubernetes import Manifest, kustomize, of_kind, workloads

DOMAIN = ".play-with-containers.svc.cluster.local"
GATEWAY_PORT = 3000


def podman_manifests(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Give what podman reads."""
    yield from of_kind(manifests, "ConfigMap")
    for secret in of_kind(manifests, "Secret"):
        data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": secret["metadata"], "data": data}
    for workload in workloads(manifests):
        yield from _claims(workload)
        yield _pod(workload)


def _claims(workload: Manifest) -> Iterator[Manifest]:
    for claim in workload["spec"].get("volumeClaimTemplates", []):
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim}


def _pod(workload: Manifest) -> Manifest:
    template = copy.deepcopy(workload["spec"]["template"])
    pod = template["spec"]
    name = workload["metadata"]["name"]
    in_memory = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    for part in (*pod["volumes"], *(mount for each in pod["containers"] for mount in each["volumeMounts"])):
        if part["name"] in in_memory:
            part["name"] = f"{name}-{part['name']}"
    for volume in pod["volumes"]:
        if secret := volume.pop("secret", None):
            volume["configMap"] = {"name": secret["secretName"]}
    pod["volumes"] += [
        {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
        for claim in workload["spec"].get("volumeClaimTemplates", [])
    ]
    for container in pod["containers"]:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            container.pop(probe, None)
        for variable in container["env"]:
            if "value" in variable:
                variable["value"] = variable["value"].replace(DOMAIN, "")
        container["ports"] = [
            port for port in container.get("ports", []) if port["containerPort"] == GATEWAY_PORT
        ]
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}


if __name__ == "__main__":
    overlay, directory = map(Path, sys.argv[1:])
    made = kustomize(overlay)
    for name, documents in (("manifests.yaml", made), ("podman.yaml", list(podman_manifests(made)))):
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(yaml.safe_dump_all(documents, sort_keys=False))
