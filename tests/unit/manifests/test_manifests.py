"""The files in deploy/kubernetes, as kubectl puts them together: what a cluster would be sent."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from plugin_loader import load_plugin
from tests.library.kubernetes import (
    MANIFESTS,
    Manifest,
    containers,
    kustomize,
    of_kind,
    run_program,
    workloads,
)

kubernetes = load_plugin("ansible/plugins/filter/kubernetes.py")

# The three newest.
VERSIONS: Final = ("1.35", "1.36", "1.37")
# Installing the programs may take its time.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overlay with what `make kubernetes-local` would add."""
    made = tmp_path_factory.mktemp("deploy") / "kubernetes"
    shutil.copytree(MANIFESTS, made, ignore=shutil.ignore_patterns("local"))
    folder: Path = made / "overlays/k3s"
    local = folder / "local"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for secret in kustomization["secretGenerator"]:
        for file in secret["files"]:
            name, _, path = file.partition("=")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(f"{secret['name']} {name}")
    base = yaml.safe_load((made / "base/kustomization.yaml").read_text())
    env = {literal.partition("=")[0]: "mine" for literal in base["configMapGenerator"][0]["literals"]}
    (local / "settings.env").write_text(kubernetes.kubernetes_settings(env, base))
    servers = (
        path.stem
        for path in (made / "base").glob("*.yaml")
        if path.stem not in {"namespace", "kustomization"}
    )
    images = kubernetes.kubernetes_images(f"{name}:1a2b3c" for name in servers)
    (local / "kustomization.yaml").write_text(kubernetes.kubernetes_yaml(images))
    return folder


@pytest.fixture(scope="module")
def manifests(overlay: Path) -> list[Manifest]:
    """What kubectl would send."""
    return kustomize(overlay)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_manifest_is_valid(version: str, manifests: list[Manifest], tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    said = run_program("kubernetes-validate", "--strict", "-k", version, file)
    assert said.count("passed") == len(manifests), said


def test_what_no_version_knows_is_found(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    spec: dict[str, Any] = {"containers": [{"name": "a", "image": "b", "comand": ["c"]}]}
    file.write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
    )
    with pytest.raises(AssertionError, match="comand"):
        run_program("kubernetes-validate", "--strict", "-k", VERSIONS[-1], file)


def test_all_but_the_namespace_is_in_it_and_says_what_it_is_a_part_of(manifests: list[Manifest]) -> None:
    [namespace] = of_kind(manifests, "Namespace")
    for each in manifests:
        assert each is namespace or each["metadata"]["namespace"] == namespace["metadata"]["name"]
    for each in workloads(manifests):
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "play-with-containers"


def test_the_namespace_refuses_what_is_not_restricted(manifests: list[Manifest]) -> None:
    [namespace] = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_restricted(manifests: list[Manifest]) -> None:
    """As the Pod Security Standards say, with the root file system read-only on top."""
    for pod, container in containers(manifests):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        assert container["resources"]["limits"]["memory"]
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert "hostPort" not in str(container)
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {"secret", "emptyDir"}


def test_each_image_has_a_tag_of_its_own(manifests: list[Manifest]) -> None:
    for _, container in containers(manifests):
        assert container["image"].endswith(":1a2b3c")
        assert container["imagePullPolicy"] == "Never"


def test_each_secret_is_there_under_the_name_that_its_pod_asks_for(manifests: list[Manifest]) -> None:
    secrets = {each["metadata"]["name"]: each["data"] for each in of_kind(manifests, "Secret")}
    asked = [
        volume["secret"]
        for workload in workloads(manifests)
        for volume in workload["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    ]
    assert sorted(each["secretName"] for each in asked) == sorted(secrets), "each is one pod's"
    assert {each["defaultMode"] for each in asked} == {0o400}
    for name, data in secrets.items():
        for file, content in data.items():
            service = re.sub(r"-[a-z0-9]{10}$", "", name)
            assert base64.b64decode(content).decode() == f"{service} {file}"


def test_each_setting_is_there_and_is_that_of_the_env(manifests: list[Manifest]) -> None:
    [settings] = of_kind(manifests, "ConfigMap")
    assert set(settings["data"].values()) == {"mine"}
    asked = {
        (variable["valueFrom"]["configMapKeyRef"]["name"], variable["valueFrom"]["configMapKeyRef"]["key"])
        for _, container in containers(manifests)
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert asked == {(settings["metadata"]["name"], key) for key in settings["data"]}


def _labels(manifests: list[Manifest]) -> Iterator[dict[str, str]]:
    for workload in workloads(manifests):
        yield workload["spec"]["template"]["metadata"]["labels"]


def test_each_selector_finds_the_pods_of_one_workload(manifests: list[Manifest]) -> None:
    selectors = [each["spec"]["selector"] for each in of_kind(manifests, "Service")]
    for each in of_kind(manifests, "NetworkPolicy", "PodDisruptionBudget", "Deployment", "StatefulSet"):
        selector = each["spec"].get("selector") or each["spec"]["podSelector"]
        selectors += [selector["matchLabels"]] if selector else []
        for rule in (*each["spec"].get("ingress", []), *each["spec"].get("egress", [])):
            peers = [*rule.get("from", []), *rule.get("to", [])]
            selectors += [
                peer["podSelector"]["matchLabels"] for peer in peers if "namespaceSelector" not in peer
            ]
    assert len(selectors) > 30
    for selector in selectors:
        assert len([labels for labels in _labels(manifests) if selector.items() <= labels.items()]) == 1, (
            selector
        )


def test_who_connects_where_is_what_the_platform_needs(manifests: list[Manifest]) -> None:
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in of_kind(manifests, "NetworkPolicy")
        if each["spec"]["podSelector"]
    }

    def name(peer: dict[str, Any]) -> str:
        labels: dict[str, str] = peer["podSelector"]["matchLabels"]
        component = labels.get("app.kubernetes.io/component")
        return labels["app.kubernetes.io/name"] + ("-migration" if component == "migration" else "")

    leaving = {
        (policy, name(peer))
        for policy, spec in policies.items()
        for rule in spec["egress"]
        for peer in rule["to"]
        if "namespaceSelector" not in peer
    }
    arriving = {
        (name(peer), policy)
        for policy, spec in policies.items()
        for rule in spec["ingress"]
        for peer in rule.get("from", [])
    }
    assert [
        policy for policy, spec in policies.items() if any("from" not in rule for rule in spec["ingress"])
    ] == ["api-gateway-app"]
    assert (
        leaving
        == arriving
        == {
            ("inventory-app", "inventory-database"),
            ("inventory-app-migration", "inventory-database"),
            ("billing-app", "billing-database"),
            ("billing-app", "rabbitmq"),
            ("billing-app-migration", "billing-database"),
            ("api-gateway-app", "inventory-app"),
            ("api-gateway-app", "billing-app"),
            ("api-gateway-app", "rabbitmq"),
        }
    )


def test_only_the_gateway_is_reached_from_outside(manifests: list[Manifest]) -> None:
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "Service")}
    assert [name for name, spec in services.items() if spec.get("type") == "LoadBalancer"] == [
        "api-gateway-app"
    ]
    assert len([name for name, spec in services.items() if spec.get("clusterIP") == "None"]) == 5
