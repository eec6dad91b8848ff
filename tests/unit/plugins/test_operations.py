"""The filters that the operator's playbooks use."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from plugin_loader import load_plugin

ROOT = Path(__file__).parents[3]


run_lock = load_plugin("ansible/plugins/filter/run_lock.py")
status = load_plugin("ansible/plugins/filter/status.py")
deployments = load_plugin("roles/container/filter_plugins/deployments.py")
definitions = load_plugin("roles/rabbitmq/filter_plugins/rabbitmq_definitions.py")
renamed = load_plugin("roles/postgres/filter_plugins/postgres_plan.py")


def image(tag: str, created: int) -> dict[str, Any]:
    """An image of the service `app`, as the engine lists it."""
    labels = {"play-with-containers.built": str(created)}
    return {"Id": f"id-{tag}", "Created": created, "RepoTags": [f"app:{tag}"], "Labels": labels}


def order(record: str, running: str, *, tags: str = "abcd") -> str:
    """Give the tags of images that were built in the order a, b, c, d, as they are listed.

    Args:
        record: the deployments, each a tag; a capital is one that an operator chose.
        running: tag of the image that runs.
        tags: of the images that there are.
    """
    lines = [
        f"2026-01-01T00:00:0{number}Z app {tag.lower()} {'chosen' if tag.isupper() else 'described'}"
        for number, tag in enumerate(record)
    ]
    lines.insert(1, "2026-01-01T00:00:00Z another x described")
    images = [image(tag, number) for number, tag in enumerate(tags)]
    entries = deployments.by_deployment(images, "\n".join(lines), "app", f"app:{running}")
    assert [entry["tag"] for entry in entries if entry["current"]] == [running]
    return "".join(entry["tag"] for entry in entries)


def test_a_lock_tells_who_has_it_since_when_and_with_what() -> None:
    found = run_lock.LOCK.fullmatch(run_lock.lock_text("Stop"))
    assert found
    assert found["playbook"] == "Stop"
    assert int(found["process"]) == os.getpid()


def test_a_lock_whose_process_is_gone_is_stale_on_the_same_computer_only() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    text = run_lock.lock_text("Stop").replace(f"process {os.getpid()}", f"process {ended.pid}")
    assert run_lock.lock_is_stale(text)
    user, _, rest = text.partition("@")
    assert not run_lock.lock_is_stale(f"{user}@another-{rest}")


def test_a_text_that_is_no_lock_is_not_called_stale() -> None:
    assert not run_lock.lock_is_stale("")
    assert not run_lock.lock_is_stale("something else")


def test_the_order_of_containers_is_that_of_the_description_then_by_number() -> None:
    def container(name: str, service: str) -> dict[str, Any]:
        return {"Names": [f"/{name}"], "Labels": {"play-with-containers.service": service}}

    given = [
        container("unknown", "unknown"),
        container("app-10", "app"),
        container("app-2", "app"),
        container("app", "app"),
        container("database", "database"),
    ]
    ordered = sorted(status.platform_order(item, ["database", "app"]) for item in given)
    assert [item[-1] for item in ordered] == ["database", "app", "app-2", "app-10", "unknown"]


def test_what_was_deployed_last_is_first_in_the_history_whenever_it_was_built() -> None:
    assert order("abc", "c") == "cbad"
    assert order("bca", "a") == "acbd"
    # Where nothing is on record, the newest is first.
    assert order("", "c") == "dcba"


def test_what_is_below_the_running_image_is_what_ran_before_it() -> None:
    # Back from c to b, and then a fix d: b ran before d.
    assert order("abcBd", "d") == "dbca"
    # Back from c to b: what ran before b is a, and c is the way forward.
    assert order("abcB", "b", tags="abc") == "cba"
    assert order("abcBA", "a", tags="abc").endswith("a")
    # The oldest one deployed again: what ran before it was built after it.
    assert order("abca", "a", tags="abc") == "acb"


def test_the_history_leaves_out_what_has_no_name_and_a_line_that_is_no_deployment() -> None:
    nameless = [{**image("x", 9), "RepoTags": tags} for tags in (None, ["<none>:<none>"])]
    entries = deployments.by_deployment(
        [image("a", 1), *nameless], "not a record of ours, at all", "app", None
    )
    assert [(entry["tag"], entry["deployed"]) for entry in entries] == [("a", None)]


def test_images_and_build_stages_that_are_too_old_are_named_and_nothing_else() -> None:
    def labelled(tag: str, created: int, **labels: str) -> dict[str, Any]:
        return image(tag, created) | {
            "Labels": {f"play-with-containers.{name}": value for name, value in labels.items()}
        }

    def stage(name: str, created: int, service: str) -> dict[str, Any]:
        # It has the label of the image below it, too.
        return labelled(name, created, image="base", stage=service) | {"RepoTags": ["<none>:<none>"]}

    record = "\n".join(f"2026-01-01T00:00:00Z app {tag} described" for tag in "abcd")
    images = [
        *(labelled(tag, number, image="app") for number, tag in enumerate("abcd")),
        labelled("z", 0, image="another"),
        labelled("y", 0),
        stage("middle", 2, "app"),
        stage("newest", 3, "app"),
        stage("oldest", 1, "app"),
        stage("of-another", 1, "another"),
        {"Id": "bare", "Created": 0, "RepoTags": None, "Labels": None},
    ]
    stages = ["id-middle", "id-oldest"]
    assert deployments.images_to_remove(images, record, {"app": "app:d"}, 3) == ["app:a", *stages]
    assert deployments.images_to_remove(images, record, {"app": "app:a"}, 2) == ["app:b", *stages]
    assert deployments.images_to_remove(images, record, {"app": "app:d"}, 4) == stages
    assert deployments.images_to_remove(images, record, {"new": "new:a"}, 3) == []
    both = deployments.images_to_remove(images, record, {"app": "app:d", "another": ""}, 0)
    assert both == ["app:c", "app:b", "app:a", *stages, "app:z"]


def test_names_that_data_was_made_with_are_compared_and_a_fresh_server_has_none() -> None:
    entry = {
        "name": "server",
        "database": "orders",
        "owner": {"user": "owner"},
        "app": {"user": "app"},
    }
    assert renamed.postgres_renamed({"databases": None, "apps": None}, entry) == []
    assert (
        renamed.postgres_renamed({"databases": {"orders": "owner", "more": "x"}, "apps": ["app"]}, entry)
        == []
    )
    [sentence] = renamed.postgres_renamed({"databases": {"shop": "owner"}, "apps": ["app"]}, entry)
    assert "shop" in sentence
    sentences = renamed.postgres_renamed({"databases": {"orders": "old"}, "apps": ["former"]}, entry)
    assert [("old" in sentences[0]), ("former" in sentences[1])] == [True, True]


def test_sizes_and_ages_are_written_for_people() -> None:
    assert status._size(None) == "?"
    assert status._size(50 * 2**20) == "50 MiB"
    assert status._bytes("39.1MiB") == int(39.1 * 2**20)
    assert status._duration(7300) == "2 h"
    assert status._age("2020-01-01T00:00:00") == status._age("2020-01-01T00:00:00.123456789Z")


def test_an_empty_machine_says_how_to_start() -> None:
    document = status.status_document(
        "host",
        containers=[],
        engine={"images": [], "disk_usage": {"Volumes": None}},
        memory_lines=[],
        printed={"queues": "", "gateway": "", "backups": ""},
        disk="100 50",
        order=["app"],
    )
    assert document["missing"] == ["app"]
    assert document["queues"] is None
    assert "make up" in status.status_text(document)


READY = 'x: 200 {"status": "ready", "dependencies": {"order-store": {"status": "up", "depth": 2}}}'
CUT_OFF = (
    'x: 200 {"status": "degraded", "dependencies": {"rabbitmq": {"status": "down", "reason": "no way"},'
    ' "order-store": {"status": "up", "depth": 0}}}'
)


def test_the_gateways_own_words_are_in_the_status() -> None:
    assert status.gateway_status(READY) == "ready"
    assert status.gateway_status("x: no answer: timed out") == ""
    assert status.gateway_text(CUT_OFF).startswith("degraded; rabbitmq: no way. Each container is healthy")


def test_healthy_containers_behind_a_gateway_that_is_not_ready_point_to_the_network() -> None:
    inspected = {
        "Name": "/app",
        "Image": "x",
        "RestartCount": 0,
        "Mounts": [],
        "HostConfig": {"Memory": 2**28},
        "Config": {"Image": "app:1", "Labels": {"play-with-containers.service": "app"}},
        "State": {
            "Running": True,
            "Status": "running",
            "Health": {"Status": "healthy"},
            "StartedAt": "2026-01-01T00:00:00Z",
        },
    }

    def text(gateway: str, health: str = "healthy") -> str:
        inspected["State"]["Health"]["Status"] = health  # type: ignore[index]
        document = status.status_document(
            "host",
            containers=[inspected],
            engine={"images": [], "disk_usage": {"Volumes": None}},
            memory_lines=[],
            printed={"queues": "", "gateway": gateway, "backups": ""},
            disk="100 50",
            order=["app"],
        )
        return str(status.status_text(document))

    assert "the gateway says: degraded; rabbitmq: no way" in text(CUT_OFF)
    assert "restarts Docker" in text(CUT_OFF)
    assert "restarts Docker" not in text(CUT_OFF, health="unhealthy")
    assert "the gateway says: ready\n" in text(READY)
    assert "restarts Docker" not in text(READY)


def test_a_swarm_is_told_by_its_machines_tasks_and_database_servers() -> None:
    members = [
        {"Member": "database-one", "Role": "Leader"},
        {"Member": "database-two", "Role": "Sync Standby"},
    ]
    swarm = status.swarm_status(
        ["one Ready Active", "two Down Drain"],
        ["app 1/2"],
        {"database": f"a warning\n{json.dumps(members)}", "silent": ""},
        {"movies": "1764000000\n", "orders": "0\n", "silent": "no such container"},
    )
    assert status._swarm_lines(swarm) == [
        "the Swarm's machines: one ready active, two down drain",
        "its tasks: app 1/2",
        "database: primary one, sync standby two",
        "kept from before restores: movies; `make restore-discard` removes them",
    ]
    [no_answer] = status._swarm_lines(status.swarm_status([], [], {}, {}))
    assert "does not answer" in no_answer
    assert status._swarm_lines(None) == []


def test_what_the_broker_has_besides_what_is_described_is_named_by_its_path() -> None:
    wanted = {"users": [{"name": "app"}]}
    actual = {
        "users": [{"name": "app"}, {"name": "a/b"}],
        "policies": [{"vhost": "/", "name": "drop it"}],
        "parameters": [{"component": "shovel", "vhost": "/", "name": "billing_queue", "value": {}}],
    }
    assert definitions.rabbitmq_undescribed(actual, wanted) == [
        "users/a%2Fb",
        "policies/%2F/drop%20it",
        "parameters/shovel/%2F/billing_queue",
    ]
    assert definitions.rabbitmq_undescribed({}, wanted) == []


@pytest.mark.parametrize(
    "password", [" # \"double\" and 'single' ", "back\\slash \\n \\", "{{ x }} $HOME %s", "ß™日本 a:b@c"]
)
def test_curl_logs_in_with_any_password(password: str, tmp_path: Path) -> None:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    (tmp_path / "curlrc").write_text(definitions.curl_login({"user": "health", "password": password}))
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        subprocess.run(["curl", "--silent", "--fail", "--config", tmp_path / "curlrc", url], check=True)
        thread.join()
    assert seen == [f"health:{password}"]


def test_a_rollback_is_overtaken_when_the_sources_make_another_image() -> None:
    pins = {name: {"from": "bad", "to": "good"} for name in ("held", "fixed", "not looked at")}
    images = {"held": "held:good", "fixed": "fixed:better"}
    assert deployments.overtaken_pins(pins, images) == {"fixed": None}


def test_one_thing_is_counted_in_the_singular() -> None:
    assert status.counted(1, "replica") == "1 replica"
    assert status.counted("1", "container") == "1 container"
    assert [status.counted(number, "image") for number in (0, 2)] == ["0 images", "2 images"]
