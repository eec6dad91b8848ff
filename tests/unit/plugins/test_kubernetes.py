"""How descriptions of containers become what Kubernetes reads."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from plugin_loader import load_plugin

compose = load_plugin("ansible/plugins/filter/compose.py")
kubernetes = load_plugin("ansible/plugins/filter/kubernetes.py")

EXAMPLE = """\
# A comment, with KEY=VALUE in it.
DB_HOST=database
DB_PORT=5432
DB_USER=somebody
DATABASE_PASSWORD=
#API_TOKEN=
"""
DEFAULTS = kubernetes.env_defaults(EXAMPLE)
OPTIONS = {
    "cpu": {"default": "100m", "app": "200m"},
    "claims": {"default": "5Gi", "small": "1Gi"},
    "autoscaling": {"app": {"minimum": 1, "maximum": 3, "percent": 60}},
}


def description(name: str, port: int | str, **differs: Any) -> dict[str, Any]:
    return {
        "name": name,
        "user": 7,
        "environment": {},
        "secrets": {},
        "volumes": [],
        "tmpfs": ["/tmp:rw,noexec,size=1m,mode=0700", "/run/server:rw,size=2m"],  # noqa: S108 (that of a container)
        "published_ports": [],
        "read_only": True,
        "capabilities": [],
        "memory": "256m",
        "stop_timeout": 30,
        "migration": {},
        "ports": [port],
        "health": {"ready": {"path": "/ready", "port": port}, "live": {"path": "/live", "port": port}},
        **differs,
    }


SERVER = description(
    "database",
    "@DB_PORT@",
    environment={"PORT": "@DB_PORT@", "USER": "@DB_USER@"},
    volumes=[{"name": "database", "path": "/data"}, {"name": "small", "path": "/log"}],
    accounts={"command": ["make", "@DB_USER@", "it's"], "socket": "/run/server", "secrets": {"one": "x"}},
    health={"ready": {"command": ["check"]}, "live": {"command": ["alive"]}},
)
APP = description(
    "app",
    8080,
    environment={"DATABASE_HOST": "@DB_HOST@", "TEXT": "costs $(5)"},
    secrets={"password": "@DATABASE_PASSWORD@"},
    migration={"command": ["migrate"], "environment": {"A": "b"}, "secrets": {"two": "x"}},
)
FRONT = description(
    "front",
    3000,
    environment={"APP_URL": "http://app:8080"},
    volumes=[{"name": "orders", "path": "/orders"}],
    published_ports=[{"port": 3000, "address": "0.0.0.0"}],  # noqa: S104
)


def files(*descriptions: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    services = compose.compose_services(descriptions, EXAMPLE)
    made: dict[str, list[dict[str, Any]]] = kubernetes.kubernetes_files(services, DEFAULTS, OPTIONS)
    return made


def found(kind: str, name: str, *descriptions: dict[str, Any]) -> dict[str, Any]:
    documents = [each for made in files(*(descriptions or (SERVER, APP, FRONT))).values() for each in made]
    [one] = [
        each for each in documents if each["kind"] == kind and each.get("metadata", {}).get("name") == name
    ]
    return one


def pod(kind: str, name: str) -> dict[str, Any]:
    result: dict[str, Any] = found(kind, name)["spec"]["template"]["spec"]
    return result


def test_what_has_volumes_keeps_them_and_what_has_none_may_be_many() -> None:
    claims = found("StatefulSet", "database")["spec"]["volumeClaimTemplates"]
    sizes = {each["metadata"]["name"]: each["spec"]["resources"]["requests"]["storage"] for each in claims}
    assert sizes == {"database": "5Gi", "small": "1Gi"}
    app = found("Deployment", "app")["spec"]
    assert "replicas" not in app, "the autoscaler says how many"
    assert found("HorizontalPodAutoscaler", "app")["spec"]["maxReplicas"] == 3
    assert found("PodDisruptionBudget", "app")["spec"]["maxUnavailable"] == 1


def test_a_name_of_env_comes_from_the_settings_and_an_address_is_written() -> None:
    environment = {each["name"]: each for each in pod("StatefulSet", "database")["containers"][0]["env"]}
    assert environment["PORT"]["value"] == "5432"
    assert environment["USER"]["valueFrom"] == {"configMapKeyRef": {"name": "settings", "key": "DB_USER"}}
    [kustomization] = files(SERVER, APP, FRONT)["base/kustomization.yaml"]
    assert kustomization["configMapGenerator"] == [{"name": "settings", "literals": ["DB_USER=somebody"]}]
    assert (
        kubernetes.kubernetes_settings({"DB_USER": "else", "DB_PORT": "1"}, kustomization) == "DB_USER=else\n"
    )


def test_what_kubernetes_would_put_a_variable_into_stays_as_it_is() -> None:
    environment = {
        each["name"]: each.get("value") for each in pod("Deployment", "app")["containers"][0]["env"]
    }
    assert environment["TEXT"] == "costs $$(5)"


def test_the_gateway_is_told_names_in_full() -> None:
    [variable] = pod("StatefulSet", "front")["containers"][0]["env"]
    assert variable["value"] == "http://app.play-with-containers.svc.cluster.local:8080"


def test_a_value_of_env_amid_other_text_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="MIXED of 'x-@DB_USER@' mixes"):
        files(description("app", 8080, environment={"MIXED": "x-@DB_USER@"}))


def test_accounts_are_set_up_beside_their_server_which_is_ready_when_they_are() -> None:
    server, accounts = pod("StatefulSet", "database")["containers"]
    assert accounts["image"] == server["image"] == "database"
    script = accounts["args"][2]
    assert """\nmake "$DB_USER" 'it'"'"'s'\n""" in script
    assert "--host=/run/server" in script
    assert (
        accounts["env"][-1]["valueFrom"]["configMapKeyRef"]["key"] == accounts["env"][-1]["name"] == "DB_USER"
    )
    assert accounts["readinessProbe"]
    mounts = [{each["mountPath"]: each["name"] for each in one["volumeMounts"]} for one in (server, accounts)]
    assert mounts[0]["/run/server"] == mounts[1]["/run/server"]
    assert mounts[0]["/run/secrets"] != mounts[1]["/run/secrets"]
    assert "/data" not in mounts[1]


def test_each_secret_file_is_named_in_the_overlay() -> None:
    services = compose.compose_services([SERVER, APP, FRONT], EXAMPLE)
    written = kubernetes.kubernetes_secret_files(services)
    assert written == {
        "database-accounts/one": "x",
        "app-migration/two": "x",
        "app/password": "@DATABASE_PASSWORD@",
    }
    [overlay] = files(SERVER, APP, FRONT)["overlays/k3s/kustomization.yaml"]
    named = [
        file.partition("=local/secrets/")[2] for each in overlay["secretGenerator"] for file in each["files"]
    ]
    assert sorted(named) == sorted(written)


def test_addresses_that_differ_are_named() -> None:
    assert kubernetes.kubernetes_addresses(DEFAULTS, DEFAULTS) == []
    assert kubernetes.kubernetes_addresses(DEFAULTS | {"DB_PORT": "5433", "DB_USER": "x"}, DEFAULTS) == [
        "DB_PORT"
    ]


def test_images_get_their_tags() -> None:
    [component] = kubernetes.kubernetes_images(["app:1a2b", "host:5000/front:2"])
    assert component["images"] == [
        {"name": "app", "newTag": "1a2b"},
        {"name": "host:5000/front", "newTag": "2"},
    ]


def test_files_are_readable_and_the_same() -> None:
    documents = [{"b": [1, {"a": "two\nlines\n"}]}, {"yes": "no", "number": "1"}]
    text = kubernetes.kubernetes_yaml(documents)
    assert list(yaml.safe_load_all(text)) == documents
    assert "  - 1\n  - a: |\n      two\n" in text
