"""The operations, on the Swarm as on one machine."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from tests.cluster.ordering import Ordering
from tests.cluster.read_load import ReadLoad
from tests.cluster.swarm import (
    BROKER,
    DATABASES,
    GATEWAY,
    MACHINES,
    REPLICATED,
    STORE,
    Swarm,
    address,
    next_gateway,
    others,
)
from tests.cluster.test_updates import image
from tests.library.api import Api
from tests.library.settings import ROOT, Secrets
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import INVENTORY, Operator, append, copy_of_sources
from tests.operations.test_passwords import accounts_let_in, is_password

pytestmark = pytest.mark.timeout(1800)

APP: Final = "inventory-app"
CONTAINERS: Final = {BROKER, STORE, *DATABASES}


def movies() -> dict[int, str]:
    """All movies, by their ids."""
    return {movie["id"]: movie["title"] for movie in Api(address(MACHINES[0])).movies()}


def add_movie(title: str) -> None:
    answer = Api(address(MACHINES[1])).post("/api/movies", {"title": title, "description": title})
    assert answer.status_code in {200, 201}, answer.text


def test_the_status_tells_of_each_machine_and_of_the_whole(swarm: Swarm, operator: Operator) -> None:
    swarm.wait_until_well(120)
    answer = operator.run("ansible/status.yml", answer_only=True, operate_format="json").output
    documents = {found["host"]: found for found in map(json.loads, answer.splitlines())}
    assert sorted(documents) == list(MACHINES)
    for document in documents.values():
        found = {container["service"]: container["health"] for container in document["containers"]}
        assert set(found) >= {*CONTAINERS, GATEWAY}
        assert set(found.values()) == {"healthy"}
        assert document["missing"] == []
        assert document["gateway"]["status"] == "ready"
        told = document["swarm"]
        assert sorted(told["machines"]) == sorted(MACHINES)
        assert told["services"] == dict.fromkeys((*REPLICATED, GATEWAY), "3/3")
        assert {database: swarm.members(database) for database in DATABASES} == told["databases"]


def test_the_logs_are_those_of_all_tasks(operator: Operator) -> None:
    asked = [
        Api(address(machine)).get("/api/movies?limit=1").headers["X-Request-ID"]
        for machine in MACHINES
        for _ in MACHINES
    ]
    answer = operator.run("ansible/logs.yml", answer_only=True, operate_service=APP, operate_tail=500)
    assert [request_id for request_id in asked if request_id not in answer.output] == []


def test_new_lines_of_all_tasks_are_shown(swarm: Swarm, tmp_path: Path) -> None:
    swarm.wait_until_well(120)
    shown = tmp_path / "lines"
    with shown.open("w") as lines:
        process = subprocess.Popen(
            [ROOT / "scripts/follow_logs"],
            env=os.environ | {"SERVICE": APP, "TAIL": "0", "ANSIBLE_INVENTORY": INVENTORY},
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )

    def all_have_told() -> bool:
        for machine in MACHINES:
            Api(address(machine)).get("/api/movies?limit=1")
        lines = shown.read_text().splitlines()
        tasks = {line.partition("@")[0] for line in lines if line.startswith(f"{APP}.")}
        return len(tasks) == sum(swarm.running(APP).values())

    try:
        wait_until(all_have_told, "each task has logged a request", 60, explain=shown.read_text)
    finally:
        process.kill()
        process.wait()
        # Docker does not end a command of `docker exec` with the one who waits for it.
        swarm.run(f"pkill --full '[d]ocker service logs --follow --tail 0 {APP}' || true")


def test_an_app_is_scaled_and_stays_so(swarm: Swarm, operator: Operator) -> None:
    swarm.wait_until_well(120)
    try:
        operator.run("ansible/scale.yml", operate_service=APP, operate_replicas=4)
        assert sum(swarm.running(APP).values()) == 4
        assert operator.run("site.yml").changes == []
    finally:
        operator.run("ansible/scale.yml", operate_service=APP, operate_replicas=3)
    assert sum(swarm.running(APP).values()) == 3
    operator.refused("ansible/scale.yml", "site.yml", operate_service=BROKER, operate_replicas=2)


def test_an_app_goes_back_to_the_version_before_and_forward_again(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    swarm.wait_until_well(120)
    described = image(swarm, APP)
    sources = copy_of_sources(tmp_path)
    append(sources, "inventory-app/inventory_app/wsgi.py", f"# version {uuid.uuid4()}")
    newer: dict[str, Any] = {"container_build_root": str(sources)}
    with ReadLoad(next_gateway()) as load:
        operator.run("site.yml", operate_service=APP, **newer)
        updated = image(swarm, APP)
        assert updated != described
        operator.run("ansible/rollback.yml", operate_service=APP)
        assert image(swarm, APP) == described
        assert operator.run("site.yml", **newer).changes == []
        operator.run("ansible/rollback.yml", operate_service=APP, operate_image=updated.partition(":")[2])
        assert image(swarm, APP) == updated
        operator.run("site.yml")
    assert image(swarm, APP) == described
    assert load.failed == []
    history = operator.run("ansible/history.yml", answer_only=True, operate_service=APP).output
    assert f"* {described} " in history
    assert updated in history
    operator.refused("ansible/rollback.yml", "is a cluster of one container", operate_service=DATABASES[0])


def test_every_password_is_changed_and_no_order_lost(
    swarm: Swarm, operator: Operator, node: Node, env: Secrets, tmp_path: Path
) -> None:
    swarm.wait_until_well(120)
    # That of the brokers and etcd among themselves is another matter (test_brokers.py).
    changed = Secrets(
        {
            key: value[::-1] + "-new" if is_password(key) and key != "CLUSTER_PASSWORD" else value
            for key, value in env.items()
        }
    )
    other = tmp_path / ".env"
    other.write_text("".join(f"{key}={value}\n" for key, value in changed.items()))
    other.chmod(0o600)
    assert set(accounts_let_in(node, env).values()) == {True}
    try:
        with Ordering(swarm, tmp_path, "passwords") as ordering:
            operator.run("site.yml", platform_env_file=str(other))
            swarm.wait_until_well(120)
        assert set(accounts_let_in(node, changed).values()) == {True}
        assert set(accounts_let_in(node, env).values()) == {False}
        assert operator.run("site.yml", platform_env_file=str(other)).changes == []
    finally:
        operator.run("site.yml")
    print(f"passwords: {dict(ordering.count())}")
    assert set(accounts_let_in(node, env).values()) == {True}


def test_new_debian_packages_reach_all_machines(swarm: Swarm, operator: Operator) -> None:
    """How they replace the old ones, under load, is what the tests of a new version show."""
    swarm.wait_until_well(120)
    containers = [(name, machine) for name in CONTAINERS for machine in MACHINES]
    images = {service: image(swarm, service) for service in swarm.services()}
    made = {container: swarm.made(*container) for container in containers}
    operator.run("ansible/update_base.yml")
    swarm.wait_until_well(120)
    assert all(image(swarm, service) != old for service, old in images.items())
    assert all(swarm.made(*container) != moment for container, moment in made.items())
    assert operator.run("site.yml").changes == []


def test_dead_letters_are_listed(operator: Operator) -> None:
    answer = operator.run("ansible/dead_letters.yml", answer_only=True, operate_format="json").output
    assert isinstance(json.loads(answer), list | dict)


def test_each_machine_makes_a_backup_and_any_of_them_is_restored(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    swarm.wait_until_well(120)
    add_movie("kept in the backup")
    held = movies()
    copies = tmp_path / "backups"
    operator.run("ansible/backup.yml", backup_local_directory=str(copies))
    made = {path.parent.name: path for path in copies.glob("*/*")}
    assert sorted(made) == list(MACHINES)
    standby = others(swarm.primary("inventory-database"))[0]
    title = str(uuid.uuid4())
    add_movie(title)
    answered = movies()
    assert title in answered.values()

    result = operator.run("ansible/restore.yml", operate_from=str(made[standby]), confirm="yes")
    assert f"movies: {len(answered)} rows before, {len(held)} after" in result.text
    wait_until(lambda: movies() == held, "what the backup holds is served", 20)
    swarm.wait_until_well(120)
    operator.refused(
        "ansible/restore.yml", "still keeps what it served", operate_from=str(made[standby]), confirm="yes"
    )
    operator.run("ansible/restore_undo.yml", confirm="yes")
    wait_until(lambda: movies() == answered, "what was served before is served again", 20)
    assert "is removed for good" in operator.run("ansible/restore_discard.yml", confirm="yes").text
    assert "nothing of before" in operator.run("ansible/restore_discard.yml", confirm="yes").text
    assert movies() == answered
    swarm.wait_until_well(120)
    assert operator.run("site.yml").changes == []


def test_the_platform_is_removed_and_brought_up_again_with_its_data(swarm: Swarm, operator: Operator) -> None:
    swarm.wait_until_well(120)
    before = movies()
    operator.run("ansible/remove.yml", confirm="yes")
    for machine in MACHINES:
        assert swarm.run("docker ps --all --quiet", machine) == ""
        assert swarm.run("docker image ls --quiet --filter label=play-with-containers.image", machine) == ""
        assert (
            swarm.run("docker network ls --quiet --filter label=play-with-containers.network", machine) == ""
        )
    assert swarm.run("docker service ls --quiet; docker secret ls --quiet") == ""
    operator.run("site.yml")
    swarm.wait_until_well(180)
    assert movies() == before
    assert operator.run("site.yml").changes == []
