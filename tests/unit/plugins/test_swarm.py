"""The filters for services of a Swarm."""

from __future__ import annotations

from typing import Any

import pytest
from plugin_loader import load_plugin

swarm = load_plugin("roles/container/filter_plugins/swarm.py")

WANTED = {"service": "app", "image": "app:2", "description": "d2"}


def survey(description: str | None, update: str = "", *, has_image: bool = True) -> dict[str, Any]:
    services = {} if description is None else {"app": {"description": description, "update": update}}
    return {"images": {"app:2": "sha256:2"} if has_image else {}, "swarm": {"services": services}}


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (survey("d2"), []),
        (survey("d2", "completed"), []),
        (survey("d2", "rollback_completed"), ["update"]),
        (survey("d2", "updating"), ["update"]),
        (survey("d1"), ["update"]),
        (survey(None), ["create"]),
        (survey(None, has_image=False), ["build its image", "create"]),
        (survey("d1", has_image=False), ["build its image", "update"]),
    ],
)
def test_the_plan_of_a_service(found: dict[str, Any], steps: list[str]) -> None:
    plan = swarm.swarm_service_plan(found, WANTED)
    assert [step["do"] for step in plan] == steps
    assert all(step["service"] == "app" and step["why"] for step in plan)


def test_a_secret_with_another_content_is_another_one() -> None:
    names = [swarm.swarm_secrets({"password": content}, "app") for content in ("a", "b", "a")]
    assert names[0] == names[2] != names[1]
    [(name, file)] = names[0].items()
    assert (name.rpartition(".")[0], file) == ("app.password", "password")
    # Docker's limit.
    assert len(name) <= 64


def test_ports_are_those_of_the_machine() -> None:
    assert swarm.swarm_ports(
        [{"port": 3000, "published_port": 8080, "address": "192.0.2.1"}, {"port": 9}]
    ) == [
        {"published_port": 8080, "target_port": 3000, "mode": "host"},
        {"published_port": 9, "target_port": 9, "mode": "host"},
    ]


def test_volumes_and_temporary_directories_are_mounted() -> None:
    assert swarm.swarm_mounts([{"name": "v", "path": "/data"}], [{"path": "/scratch", "size": "64m"}]) == [
        {"type": "volume", "source": "v", "target": "/data"},
        {"type": "tmpfs", "target": "/scratch", "tmpfs_size": "64m", "tmpfs_mode": 0o1777},
    ]


@pytest.mark.parametrize(
    ("lines", "progress"),
    [
        (["", "3/3"], "done"),
        (["completed", "3/3 (max 1 per node)"], "done"),
        (["completed", "2/3"], "going on"),
        (["", "0/3"], "going on"),
        (["updating", "3/3"], "going on"),
        (["rollback_started", "3/3"], "going on"),
        (["rollback_completed", "3/3"], "failed"),
        (["paused", "2/3"], "failed"),
    ],
)
def test_how_far_a_service_is(lines: list[str], progress: str) -> None:
    assert swarm.swarm_progress(lines) == progress


def test_each_container_of_a_cluster_has_a_name_of_its_machine() -> None:
    hosts = swarm.cluster_hosts(["server-1", "Server_2.example"], "etcd")
    assert hosts == {"server-1": "etcd-server-1", "Server_2.example": "etcd-server-2-example"}
