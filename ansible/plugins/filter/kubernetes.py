"""Filters that turn what the roles say of their containers into what Kubernetes reads, with kustomize.

They take what `compose_services` gives: what runs, and what it needs. Where the description has a value of
`.env`, it has `@KEY@`: a name goes into the ConfigMap `settings`, and the overlay makes Secrets of secrets.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import yaml

Manifest = dict[str, Any]

NAMESPACE = "play-with-containers"
HEADER = (
    "# Made by `make {}` from ansible/group_vars and the roles: change it there. See docs/kubernetes.md.\n"
)
PLACEHOLDER = re.compile(r"@([A-Z0-9_]+)@")
# Where others are reached is what the manifests say themselves.
ADDRESS = re.compile(r"_(HOST|PORT|URL)$")
URL = re.compile(r"(\w+://)([a-z0-9-]+)(:\d+)?")
MEMORY = re.compile(r"(\d+)([mg])")
TMPFS = re.compile(r"(?P<path>[^:]+):.*\bsize=(?P<size>\d+[mg])\b")
# Of k3s, Kubernetes' own.
DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
# Times are those of the images' health checks, in seconds; a start may take ten minutes, as after a crash.
PERIOD = 5
PATIENCE = {"startupProbe": 120, "readinessProbe": 2, "livenessProbe": 12}
PROBE_TIMEOUT = 6


class _Dumper(yaml.SafeDumper):
    """Indents lists as yamllint wants it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|" if "\n" in text else None)


# Ansible's values are of classes of its own.
for _type in (dict, list, int):
    _Dumper.add_multi_representer(_type, yaml.SafeDumper.yaml_representers[_type])
_Dumper.add_multi_representer(str, _represent_text)
# The class itself has one already.
_Dumper.add_representer(str, _represent_text)


def kubernetes_yaml(documents: Iterable[Manifest], target: str = "kubernetes") -> str:
    """Write the documents of a file, and which target of make does that."""
    texts = (yaml.dump(each, Dumper=_Dumper, sort_keys=False, width=100) for each in documents)
    return HEADER.format(target) + "".join(f"---\n{text}" for text in texts)


def kubernetes_files(
    services: Sequence[Mapping[str, Any]], defaults: Mapping[str, str], options: Mapping[str, Any]
) -> dict[str, list[Manifest]]:
    """Give the files below deploy/kubernetes, each with its documents.

    Args:
        services: what runs (`compose_services`).
        defaults: what `.env.example` says (`env_defaults`).
        options: `cpu`, what a service is promised, and `claims`, how large a volume is, with a `default`;
            `autoscaling`, for a service its `minimum`, `maximum` and `percent` of what it is promised.
    """
    base = _Base(services, defaults, options)
    files = {f"base/{name}.yaml": documents for name, documents in base.by_service().items()}
    files["base/namespace.yaml"] = _namespace()
    files["base/kustomization.yaml"] = [
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": NAMESPACE,
            "labels": [{"pairs": {"app.kubernetes.io/part-of": NAMESPACE}}],
            "resources": sorted(name.removeprefix("base/") for name in files),
            "configMapGenerator": [
                {"name": "settings", "literals": [f"{key}={defaults[key]}" for key in base.settings]}
            ],
        }
    ]
    files["overlays/k3s/kustomization.yaml"] = [_overlay(services)]
    return files


def env_defaults(example: str) -> dict[str, str]:
    """Give what `.env.example` says where a `.env` says nothing."""
    return dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", example, re.MULTILINE))


def kubernetes_settings(env: Mapping[str, str], kustomization: Manifest) -> str:
    """Write what the ConfigMap `settings` of the base takes from `.env`: KEY=VALUE lines."""
    [generator] = kustomization["configMapGenerator"]
    keys = [literal.partition("=")[0] for literal in generator["literals"]]
    return "".join(f"{key}={env[key]}\n" for key in keys)


def kubernetes_addresses(env: Mapping[str, str], defaults: Mapping[str, str]) -> list[str]:
    """Name the keys of `.env` that say where something is, and say other than the manifests do."""
    return [
        key for key, value in defaults.items() if ADDRESS.search(key) and key in env and env[key] != value
    ]


def kubernetes_secret_files(services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give the files that the overlay makes Secrets of: path and content."""
    return {
        f"{service['name']}/{name}": content
        for service in services
        for name, content in service["secrets"].items()
    }


def kubernetes_images(images: Iterable[str]) -> list[Manifest]:
    """Give the component of the overlay that says which tag of each image runs.

    Args:
        images: NAME:TAG.
    """
    tags = [dict(zip(("name", "newTag"), image.rsplit(":", 1), strict=True)) for image in images]
    return [{"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "images": tags}]


def _overlay(services: Iterable[Mapping[str, Any]]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": ["../../base"],
        # What is this installation's own, and never committed: `make kubernetes-local`.
        "components": ["local"],
        "configMapGenerator": [{"name": "settings", "behavior": "merge", "envs": ["local/settings.env"]}],
        "secretGenerator": [
            {
                "name": service["name"],
                "files": [f"{name}=local/secrets/{service['name']}/{name}" for name in service["secrets"]],
            }
            for service in services
            if service["secrets"]
        ],
        "patches": [
            {
                "target": {"kind": "Service", "name": "api-gateway-app"},
                "patch": "- {op: replace, path: /spec/type, value: LoadBalancer}\n",
            }
        ],
    }


def _namespace() -> list[Manifest]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {
                    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")
                },
            },
        },
        # What no other policy allows is forbidden.
        _policy("nothing-else", {}, {"policyTypes": ["Ingress", "Egress"]}),
    ]


def _policy(name: str, labels: Mapping[str, str], rules: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": dict(labels)} if labels else {}, **rules},
    }


class _Base:
    """The manifests of all services."""

    def __init__(
        self, services: Sequence[Mapping[str, Any]], defaults: Mapping[str, str], options: Mapping[str, Any]
    ) -> None:
        self._defaults = defaults
        self._options = options
        self._containers = {each["name"]: each for each in services if not each["once"]}
        # What runs once in a pod of its own, and what runs beside its server.
        self._once = [each for each in services if each["once"] and each["network"]]
        self._beside = {each["of"]["name"]: each for each in services if each["once"] and not each["network"]}
        texts = [
            text
            for each in services
            for text in (*each["environment"].values(), *each["command"])
            if each["network"]
        ]
        texts += [text for each in self._beside.values() for text in each["command"]]
        keys = {key for text in texts for key in PLACEHOLDER.findall(str(text))}
        self.settings = sorted(key for key in keys if not ADDRESS.search(key))

    def by_service(self) -> dict[str, list[Manifest]]:
        """Give each service its documents."""
        return {name: self._documents(service) for name, service in self._containers.items()}

    def _documents(self, service: Mapping[str, Any]) -> list[Manifest]:
        name = service["name"]
        documents = [self._service(service), self._workload(service), self._network_policy(service)]
        for once in self._once:
            if once["of"]["name"] == name:
                documents += [self._job(once), self._network_policy(once)]
        # A volume is one pod's: there is nothing to be kept up while a machine is emptied.
        if not service["volumes"]:
            documents.append(self._disruption_budget(name))
        if name in self._options["autoscaling"]:
            documents.append(self._autoscaler(name))
        return documents

    def _service(self, service: Mapping[str, Any]) -> Manifest:
        of = service["of"]
        spec: Manifest = {
            "selector": _labels(service),
            "ports": [{"name": f"port-{port}", "port": port} for port in self._ports(service)],
        }
        if self._is_public(service):
            # Each has keys of its own: a client stays with one (docs/kubernetes.md).
            spec = {"type": "ClusterIP", "sessionAffinity": "ClientIP", **spec}
        else:
            # A name that has the addresses of all pods: the gateway asks each whether it is ready.
            spec = {"clusterIP": "None", **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": of["name"]}, "spec": spec}

    def _workload(self, service: Mapping[str, Any]) -> Manifest:
        name, volumes = service["name"], service["of"]["volumes"]
        labels = _labels(service)
        spec: Manifest = {"selector": {"matchLabels": labels}}
        if name not in self._options["autoscaling"]:
            spec["replicas"] = service["of"].get("replicas", 1)
        if volumes:
            kind = "StatefulSet"
            spec["serviceName"] = name
            spec["volumeClaimTemplates"] = [self._claim(volume) for volume in volumes]
        else:
            kind = "Deployment"
            # The new one is ready before the old one ends.
            spec["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spec["template"] = {"metadata": {"labels": labels}, "spec": self._pod(service)}
        return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    def _job(self, once: Mapping[str, Any]) -> Manifest:
        pod = {"restartPolicy": "OnFailure", **self._pod(once)}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": once["name"], "labels": _labels(once)},
            # It fails until its server is up.
            "spec": {"backoffLimit": 10, "template": {"metadata": {"labels": _labels(once)}, "spec": pod}},
        }

    def _pod(self, service: Mapping[str, Any]) -> Manifest:
        of = service["of"]
        user = of["user"]
        containers = [self._container(service)]
        volumes = self._volumes(service)
        if not service["once"] and (beside := self._beside.get(service["name"])):
            containers.append(self._setter_of_accounts(beside))
            volumes.append(_secret_volume(beside))
        pod: Manifest = {
            "automountServiceAccountToken": False,
            # Variables such as RABBITMQ_PORT mean something else here.
            "enableServiceLinks": False,
            # The first process belongs to the pod, and takes care of orphans.
            "shareProcessNamespace": True,
            "terminationGracePeriodSeconds": of["stop_timeout"],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                # PostgreSQL and Erlang refuse files that a group may write to.
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
            "volumes": volumes,
        }
        if not service["once"] and not of["volumes"]:
            pod["topologySpreadConstraints"] = [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": _labels(service)},
                }
            ]
        return pod

    def _container(self, service: Mapping[str, Any]) -> Manifest:
        of = service["of"]
        container: Manifest = {"name": service["name"], "image": of["name"], "imagePullPolicy": "Never"}
        if service["command"]:
            container["args"] = service["command"]
        container["env"] = [
            self._variable(name, str(value)) for name, value in service["environment"].items()
        ]
        if not service["once"]:
            container["ports"] = [
                {"name": f"port-{port}", "containerPort": port} for port in self._ports(service)
            ]
            container |= self._probes(of["health"])
        container["resources"] = self._resources(of, once=service["once"])
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], **({"add": of["capabilities"]} if of["capabilities"] else {})},
            "readOnlyRootFilesystem": of["read_only"],
        }
        container["volumeMounts"] = [
            {"name": _secret_volume(service)["name"], "mountPath": "/run/secrets", "readOnly": True},
            *({"name": _volume_name(path), "mountPath": path} for path, _ in _tmpfs(of)),
        ]
        if not service["once"]:
            container["volumeMounts"] += [
                {"name": volume["name"], "mountPath": volume["path"]} for volume in of["volumes"]
            ]
        return container

    def _setter_of_accounts(self, beside: Mapping[str, Any]) -> Manifest:
        """What sets up the accounts whenever the pod starts; the pod is ready when that is done."""
        container = self._container(beside)
        socket = beside["of"]["accounts"]["socket"]
        command = [self._without_addresses(word) for word in beside["command"]]
        keys = sorted({key for word in command for key in PLACEHOLDER.findall(word)})
        script = (
            "rm -f /tmp/accounts-are-set-up\n"
            f'until pg_isready --quiet --host={socket} --port="$POSTGRES_PORT"; do sleep 1; done\n'
            f"{' '.join(map(_shell_word, command))}\n"
            "touch /tmp/accounts-are-set-up\n"
            "exec sleep infinity\n"
        )
        container["args"] = ["bash", "-euc", script]
        container["env"] += [_from_settings(key, key) for key in keys]
        # It waits, and asks once.
        container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
        container["readinessProbe"] = {
            "exec": {"command": ["test", "-e", "/tmp/accounts-are-set-up"]},  # noqa: S108 (a container's)
            "periodSeconds": PERIOD,
        }
        return container

    def _volumes(self, service: Mapping[str, Any]) -> list[Manifest]:
        """List the volumes of a pod, but for those that it claims."""
        in_memory = [
            {"name": _volume_name(path), "emptyDir": {"medium": "Memory", "sizeLimit": _quantity(size)}}
            for path, size in _tmpfs(service["of"])
        ]
        return [_secret_volume(service), *in_memory]

    def _claim(self, volume: Mapping[str, str]) -> Manifest:
        sizes = self._options["claims"]
        return {
            "metadata": {"name": volume["name"]},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": sizes.get(volume["name"], sizes["default"])}},
            },
        }

    def _probes(self, health: Mapping[str, Any]) -> Manifest:
        ready, live = _probe(health["ready"]), _probe(health["live"])
        first = live if "httpGet" in live else ready
        return {
            name: {
                **probe,
                "periodSeconds": PERIOD,
                "timeoutSeconds": PROBE_TIMEOUT,
                "failureThreshold": PATIENCE[name],
            }
            for name, probe in (("startupProbe", first), ("readinessProbe", ready), ("livenessProbe", live))
        }

    def _resources(self, container: Mapping[str, Any], *, once: bool) -> Manifest:
        processor = self._options["cpu"]
        promised = processor["default"] if once else processor.get(container["name"], processor["default"])
        memory = _quantity(container["memory"])
        return {"requests": {"cpu": promised, "memory": memory}, "limits": {"memory": memory}}

    def _network_policy(self, service: Mapping[str, Any]) -> Manifest:
        users = [
            {"podSelector": {"matchLabels": _labels(each)}}
            for each in (*self._containers.values(), *self._once)
            if service["name"] in self._hosts(each)
        ]
        ingress: list[Manifest] = []
        if not service["once"]:
            ports = [{"port": port} for port in self._ports(service)]
            if self._is_public(service):
                ingress.append({"ports": ports})
            elif users:
                ingress.append({"from": users, "ports": ports})
        egress: list[Manifest] = [
            {
                "to": [{"podSelector": {"matchLabels": _labels(self._containers[host])}}],
                "ports": [{"port": port} for port in self._ports(self._containers[host])],
            }
            for host in self._hosts(service)
        ]
        if egress:
            egress.insert(
                0, {"to": [DNS], "ports": [{"port": 53, "protocol": name} for name in ("UDP", "TCP")]}
            )
        rules = {"policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress}
        return _policy(service["name"], _labels(service), rules)

    def _hosts(self, service: Mapping[str, Any]) -> list[str]:
        """Name the services that one calls."""
        needed = [name.removesuffix("-accounts") for name in service["needs"]]
        return [name for name in self._containers if name in needed and name != service["of"]["name"]]

    def _disruption_budget(self, name: str) -> Manifest:
        return {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name},
            # A single one may go, or its machine could never be emptied.
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(self._containers[name])}},
        }

    def _autoscaler(self, name: str) -> Manifest:
        wanted = self._options["autoscaling"][name]
        target = {"type": "Utilization", "averageUtilization": wanted["percent"]}
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": wanted["minimum"],
                "maxReplicas": wanted["maximum"],
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            },
        }

    def _ports(self, service: Mapping[str, Any]) -> list[int]:
        return [int(self._without_addresses(str(port))) for port in service["of"]["ports"]]

    def _is_public(self, service: Mapping[str, Any]) -> bool:
        published = {port["port"] for port in service["of"]["published_ports"]}
        return bool(published.intersection(self._ports(service)))

    def _without_addresses(self, text: str) -> str:
        """Write where something is in place of the placeholders for it."""
        return PLACEHOLDER.sub(
            lambda match: self._defaults[match[1]] if ADDRESS.search(match[1]) else match[0], text
        )

    def _variable(self, name: str, value: str) -> Manifest:
        text = self._without_addresses(value)
        if (match := URL.fullmatch(text)) and match[2] in self._containers:
            # In full: the gateway's proxy asks for a name as it is.
            text = f"{match[1]}{match[2]}.{NAMESPACE}.svc.cluster.local{match[3] or ''}"
        if match := PLACEHOLDER.fullmatch(text):
            return _from_settings(name, match[1])
        if PLACEHOLDER.search(text):
            raise ValueError(
                f"The variable {name} of {value!r} mixes a value of .env with other text, which Kubernetes "
                "cannot take from a ConfigMap: make it a value of .env as a whole."
            )
        return {"name": name, "value": text.replace("$(", "$$(")}


def _labels(service: Mapping[str, Any]) -> dict[str, str]:
    component = service["name"].removeprefix(service["of"]["name"]).lstrip("-") or "server"
    return {"app.kubernetes.io/name": service["of"]["name"], "app.kubernetes.io/component": component}


def _from_settings(name: str, key: str) -> Manifest:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}


def _shell_word(text: str) -> str:
    """Write a word of a command, with variables in place of the placeholders."""
    parts = PLACEHOLDER.split(text)
    return "".join(
        f'"${part}"' if number % 2 else shlex.quote(part) if part else "" for number, part in enumerate(parts)
    )


def _secret_volume(service: Mapping[str, Any]) -> Manifest:
    # Kubernetes adds the group's right to read, as the pod has a group of its own.
    secret = {"secretName": service["name"], "defaultMode": 0o400}
    return {"name": f"{service['name']}-secrets", "secret": secret}


def _probe(check: Mapping[str, Any]) -> Manifest:
    if "command" in check:
        return {"exec": {"command": check["command"]}}
    return {"httpGet": {"path": check["path"], "port": check["port"]}}


def _tmpfs(container: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(match["path"], match["size"]) for mount in container["tmpfs"] if (match := TMPFS.match(mount))]


def _volume_name(path: str) -> str:
    return path.strip("/").replace("/", "-")


def _quantity(size: str) -> str:
    """Write a number of bytes as Kubernetes does: 256m is a quarter of a byte there."""
    number, unit = re.fullmatch(MEMORY, size).groups()
    return f"{number}{unit.upper()}i"


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filters by name."""
        return {
            "env_defaults": env_defaults,
            "kubernetes_addresses": kubernetes_addresses,
            "kubernetes_files": kubernetes_files,
            "kubernetes_images": kubernetes_images,
            "kubernetes_secret_files": kubernetes_secret_files,
            "kubernetes_settings": kubernetes_settings,
            "kubernetes_yaml": kubernetes_yaml,
        }
