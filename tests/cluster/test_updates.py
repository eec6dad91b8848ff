"""A new version goes to all machines, one after another; one that fails goes back."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.cluster.read_load import ReadLoad
from tests.cluster.swarm import Swarm, next_gateway
from tests.operations.operator import Operator, append, copy_of_sources

pytestmark = pytest.mark.timeout(1800)


def image(swarm: Swarm, service: str) -> str:
    return str(swarm.services()[service]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def test_all_three_apps_are_updated_without_a_failed_request(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    sources = copy_of_sources(tmp_path)
    append(sources, "common/platform_common/__init__.py", f"# version {uuid.uuid4()}")
    before = {service: image(swarm, service) for service in swarm.services()}
    with ReadLoad(next_gateway()) as load:
        operator.run("site.yml", container_build_root=str(sources))
    assert load.failed == []
    assert load.answered > 500
    assert all(image(swarm, service) != old for service, old in before.items())
    swarm.wait_until_well(60)


def test_a_broken_version_goes_back_and_the_old_one_serves_meanwhile(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    sources = copy_of_sources(tmp_path)
    append(sources, "inventory-app/inventory_app/wsgi.py", 'raise RuntimeError("broken on purpose")')
    swarm.wait_until_well(60)
    before = image(swarm, "inventory-app")
    with ReadLoad(next_gateway()) as load:
        operator.refused(
            "site.yml",
            "The Swarm does not run inventory-app as described",
            container_build_root=str(sources),
            operate_service="inventory-app",
        )
    assert load.failed == []
    assert image(swarm, "inventory-app") == before
    swarm.wait_until_well(60)
    # What the next run would do is to try again what is described.
    operator.run("site.yml")
    assert operator.run("site.yml").changes == []
