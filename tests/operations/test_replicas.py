"""More and fewer containers of an app."""

from __future__ import annotations

import pytest
from tests.library.api import Api
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator, finish

pytestmark = pytest.mark.timeout(3600)


def running(node: Node, service: str) -> set[str]:
    return set(
        node.run(
            f"docker ps --filter label=play-with-containers.service={service} --format '{{{{.Names}}}}'"
        ).split()
    )


@pytest.mark.parametrize("service", ["inventory-app", "billing-app"])
def test_an_app_is_scaled_up_and_down_again(operator: Operator, node: Node, api: Api, service: str) -> None:
    names = {service, f"{service}-2", f"{service}-3"}
    try:
        result = operator.run("ansible/scale.yml", operate_service=service, operate_replicas="3")
        assert f"{service} has 3 containers" in result.text
        assert running(node, service) == names
        addresses = set()
        for container in node.inspect(*names).values():
            assert container["State"]["Health"]["Status"] == "healthy"
            network = container["NetworkSettings"]["Networks"]["play_with_containers_network"]
            assert service in network["Aliases"]
            addresses.add(network["IPAddress"])
        found = node.run(f"docker exec api-gateway-app getent ahostsv4 {service}")
        assert {line.split()[0] for line in found.splitlines()} == addresses
        # The next run of the whole platform leaves them.
        held = operator.run("site.yml")
        assert held.changes == []
        assert f"{service} has 3 replicas, as decided with `make scale`" in held.text
    finally:
        operator.run("ansible/scale.yml", operate_service=service, operate_replicas="1")
    assert running(node, service) == {service}
    assert api.get("/health/ready").status_code == 200


def test_a_scale_that_fails_is_told_and_leaves_nothing(operator: Operator, node: Node, api: Api) -> None:
    scale = operator.start("ansible/scale.yml", operate_service="inventory-app", operate_replicas="2")
    try:
        wait_until(
            lambda: "inventory-app-2" in running(node, "inventory-app") or scale.poll() is not None,
            "the second replica has started",
            seconds=600,
        )
        # One that never answers never becomes healthy.
        node.run("docker pause inventory-app-2")
        output = finish(scale)
    finally:
        if scale.poll() is None:
            scale.kill()
    assert scale.returncode != 0, output
    text = " ".join(output.split())
    assert "inventory-app could not be scaled and has as many containers as before" in text
    assert "inventory-app-2 is" in text
    assert running(node, "inventory-app") == {"inventory-app"}
    assert '"inventory-app": 2' not in node.run("cat /etc/play-with-containers/decisions.json 2>&1 || true")
    assert api.get("/api/movies?limit=1").status_code == 200


def test_the_description_says_how_many_there_are(operator: Operator, node: Node) -> None:
    try:
        node.run("rm -f /etc/play-with-containers/decisions.json")
        operator.run("site.yml", platform_replicas={"inventory-app": 2})
        assert running(node, "inventory-app") == {"inventory-app", "inventory-app-2"}
        assert operator.run("site.yml", platform_replicas={"inventory-app": 2}).changes == []
    finally:
        operator.run("site.yml")
    assert running(node, "inventory-app") == {"inventory-app"}
