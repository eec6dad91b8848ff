"""The filters that the operator's playbooks use."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[3]


def load(name: str) -> ModuleType:
    """Import a filter plugin, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"ansible/plugins/filter/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_lock = load("run_lock")
status = load("status")


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


def test_the_history_is_newest_first_and_leaves_out_what_has_no_name() -> None:
    def image(number: int, tags: list[str] | None) -> dict[str, Any]:
        return {
            "Id": f"id{number}",
            "Created": number,
            "RepoTags": tags,
            "Labels": {status.BUILT: str(number)},
        }

    images = [image(1, ["app:a"]), image(3, ["app:c"]), image(2, None), image(4, ["<none>:<none>"])]
    entries = status.history(images, "id1")
    assert [(entry["tag"], entry["current"]) for entry in entries] == [("c", False), ("a", True)]


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
        queues="",
        gateway="",
        disk="100 50",
        order=["app"],
    )
    assert document["missing"] == ["app"]
    assert document["queues"] is None
    assert "make up" in status.status_text(document)


def test_a_rollback_is_overtaken_when_the_sources_make_another_image() -> None:
    pins = {name: {"from": "bad", "to": "good"} for name in ("held", "fixed", "not looked at")}
    images = {"held": "held:good", "fixed": "fixed:better"}
    assert load("decisions").overtaken_pins(pins, images) == {"fixed": None}
