"""The pods are as the manifests say, and come back whatever ends them."""

from __future__ import annotations

import re
from typing import Final

import pytest
from tests.kubernetes.conftest import Pods
from tests.library.api import Api
from tests.library.settings import Secrets
from tests.library.support import wait_until

# What is waited for may take longer than usual.
pytestmark = pytest.mark.timeout(400)

ORDER: Final = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
SERVERS: Final = (
    "inventory-database",
    "billing-database",
    "rabbitmq",
    "inventory-app",
    "billing-app",
    "api-gateway-app",
)


def test_all_of_the_platform_is_there(pods: Pods) -> None:
    assert set(pods.servers) == set(SERVERS)
    assert set(pods.jobs) == {"inventory-app-migration", "billing-app-migration"}


@pytest.mark.parametrize("server", SERVERS)
def test_each_process_has_the_user_and_no_right_beyond(pods: Pods, server: str) -> None:
    pod = pods.servers[server]["spec"]["template"]["spec"]
    for container in pod["containers"]:
        described = pods.inspect(server, container["name"])
        process = f"/proc/{described['State']['Pid']}"
        status = dict(re.findall(r"^(\w+):\s*(.*)$", pods.run(f"cat {process}/status"), re.MULTILINE))
        user = str(pod["securityContext"]["runAsUser"])
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {user}
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2", "a filter"
        assert re.search(r"^\S+ / \S+ ro\b", pods.run(f"cat {process}/mounts"), re.MULTILINE)
        limit = container["resources"]["limits"]["memory"]
        number, unit = limit[:-2], limit[-2:]
        assert described["HostConfig"]["Memory"] == int(number) << {"Mi": 20, "Gi": 30}[unit]


@pytest.mark.parametrize("server", SERVERS)
def test_each_probe_succeeds(pods: Pods, server: str) -> None:
    for container in pods.servers[server]["spec"]["template"]["spec"]["containers"]:
        probes = [probe for name, probe in container.items() if name.endswith("Probe")]
        assert probes
        for probe in probes:
            assert pods.passes(server, container["name"], probe), probe


def test_a_readiness_probe_fails_while_what_is_needed_is_down(pods: Pods) -> None:
    pods.run("podman pod stop inventory-database")
    try:
        [app] = pods.servers["inventory-app"]["spec"]["template"]["spec"]["containers"]
        wait_until(
            lambda: not pods.passes("inventory-app", app["name"], app["readinessProbe"]),
            "the app is not ready",
        )
        assert pods.passes("inventory-app", app["name"], app["livenessProbe"]), (
            "it waits, and is not restarted"
        )
    finally:
        pods.run("podman pod start inventory-database")
        pods.wait_ready()


def test_the_migrations_have_ended_well(pods: Pods) -> None:
    for job in pods.jobs:
        state = pods.inspect(job, job)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), pods.run(
            f"podman logs {job}-{job} 2>&1"
        )


def test_no_secret_is_in_an_environment(pods: Pods, env: Secrets) -> None:
    passwords = {value for key, value in env.items() if key.endswith(("_PASSWORD", "_PASS"))}
    assert len(passwords) == 10
    for server, manifest in pods.servers.items():
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            described = str(pods.inspect(server, container["name"])["Config"])
            assert not [password for password in passwords if password in described]


@pytest.fixture(scope="module")
def owned_as_by_kubernetes(pods: Pods) -> None:
    """Each pod's group gets its volumes as Kubernetes gives them: secrets 0440, the roots of claims 2775."""
    for manifest in pods.servers.values():
        pod = manifest["spec"]["template"]["spec"]
        group = pod["securityContext"]["fsGroup"]
        path = "$(podman volume inspect --format '{{{{.Mountpoint}}}}' {})"
        for volume in pod["volumes"]:
            if "secret" in volume:
                place = path.format(volume["secret"]["secretName"])
                pods.run(f"chown -R 0:{group} {place} && chmod 0750 {place} && chmod 0440 {place}/*")
        for claim in manifest["spec"].get("volumeClaimTemplates", []):
            place = path.format(claim["metadata"]["name"])
            pods.run(f"chown 0:{group} {place} && chmod 2775 {place}")


@pytest.mark.usefixtures("owned_as_by_kubernetes")
@pytest.mark.parametrize("server", SERVERS)
def test_what_is_killed_comes_back_in_its_pod(pods: Pods, api: Api, server: str) -> None:
    order = api.order(ORDER)
    for container in pods.servers[server]["spec"]["template"]["spec"]["containers"]:
        process = pods.inspect(server, container["name"])["State"]["Pid"]
        pods.run(f"kill -KILL {process}")
        pods.wait_process(server, container["name"], process)
    pods.wait_ready()
    assert api.stored_order(order)["user_id"] == "20"
    assert api.stored_order(api.order(ORDER))["user_id"] == "20"


def test_after_a_stop_of_all_pods_everything_is_there_again(pods: Pods, api: Api) -> None:
    movie = api.post("/api/movies", {"title": "kept", "description": ""}).json()
    order = api.order(ORDER)
    api.stored_order(order)
    servers = " ".join(SERVERS)
    pods.run(f"podman pod stop {servers}")
    pods.run(f"podman pod start {servers}")
    pods.wait_ready()
    # What was connected to the gateway before is so no more.
    again = Api(api.url)
    assert again.get(f"/api/movies/{movie['id']}").json() == movie
    assert again.stored_order(order)["user_id"] == "20"
    again.delete(f"/api/movies/{movie['id']}")
