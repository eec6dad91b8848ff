"""The module that looks at a machine, with a program in the place of the docker command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plugin_loader import load_plugin
from tests.library.programs import put_program

survey = load_plugin("roles/container/library/container_survey.py")


def container(name: str, status: str, labels: dict[str, str] | None, **parts: Any) -> dict[str, Any]:
    """A container as `docker inspect` tells of it."""
    return {
        "Id": f"id-of-{name}",
        "Name": f"/{name}",
        "Image": "sha256:1",
        "Config": {"Labels": labels},
        "State": {"Status": status, "Running": status in ("running", "paused"), "Paused": status == "paused"},
        "HostConfig": {"Memory": 7, "MemorySwap": 7, "PidsLimit": 9, "RestartPolicy": {"Name": "no"}},
        "NetworkSettings": {"Networks": {"net": {"Aliases": None}}},
        "Mounts": [{"Type": "volume", "Name": "data"}, {"Type": "bind", "Source": "/"}],
        **parts,
    }


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are what the docker command prints; the first two arguments name the file."""
    put_program(tmp_path / "docker", f'cat "{tmp_path}/$1-$2" || exit 1')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "image-ls").write_text("a:1 sha256:1\n<none>:<none> sha256:2\n")
    (tmp_path / "network-ls").write_text("net\n")
    (tmp_path / "ps---all").write_text("")
    tell_info(tmp_path, {"LocalNodeState": "inactive", "ControlAvailable": False})
    monkeypatch.setattr(survey, "free_mib", lambda path: f"of {Path(path).name}")
    return tmp_path


def tell_info(docker: Path, swarm: dict[str, Any]) -> None:
    (docker / "info---format").write_text(f"{json.dumps(str(docker))}\n{json.dumps(swarm)}\n")


def put(docker: Path, *containers: dict[str, Any]) -> None:
    identities = [item["Id"] for item in containers]
    (docker / "ps---all").write_text("".join(f"{identity}\n" for identity in identities))
    (docker / f"inspect-{identities[0]}").write_text(json.dumps(containers))


def test_the_facts_are_those_that_roles_ask_for() -> None:
    module = SimpleNamespace(
        get_bin_path=lambda *_, **__: None, run_command=lambda *_, **__: (1, "", ""), params={}
    )
    found = survey.facts(module)
    assert {f"ansible_{name}" for name in ("distribution", "distribution_major_version", "service_mgr")} <= {
        name for name, value in found.items() if value
    }
    assert "ansible_distribution_version" in found
    assert isinstance(found["ansible_dns"], dict)


def test_an_engine_without_containers_has_images_networks_and_a_directory(docker: Path) -> None:
    assert survey.engine_survey() == {
        "images": {"a:1": "sha256:1"},
        "networks": ["net"],
        "free_mib": f"of {docker.name}",
        "swarm": {"state": "inactive", "cluster": "", "services": {}},
        "containers": {},
        "foreign": {},
    }


def test_a_manager_of_a_swarm_knows_its_services(docker: Path) -> None:
    tell_info(docker, {"LocalNodeState": "active", "ControlAvailable": True, "Cluster": {"ID": "c"}})
    (docker / "service-ls").write_text("id\n")
    labels = {"play-with-containers.service": "app", "play-with-containers.description": "d"}
    described = [
        {"Spec": {"Name": "app", "Labels": labels}, "UpdateStatus": {"State": "paused"}},
        {"Spec": {"Name": "new", "Labels": {"play-with-containers.service": "new"}}},
    ]
    (docker / "service-inspect").write_text(json.dumps(described))
    assert survey.engine_survey()["swarm"] == {
        "state": "active",
        "cluster": "c",
        "services": {
            "app": {"description": "d", "update": "paused"},
            "new": {"description": "", "update": ""},
        },
    }


def test_containers_of_services_are_told_from_others_which_are_told_with_what_they_use(docker: Path) -> None:
    service = {"play-with-containers.service": "app", "play-with-containers.description": "d"}
    put(
        docker,
        container("app", "running", service),
        container("visitor", "paused", {"other": "label"}),
        container("bare", "exited", None),
    )
    found = survey.engine_survey()
    assert found["foreign"] == {"visitor": ["data"], "bare": []}
    assert found["containers"] == {
        "app": {
            "service": "app",
            "description": "d",
            "image": "sha256:1",
            "running": True,
            "paused": False,
            "health": "none",
            "memory": 7,
            "memory_swap": 7,
            "pids": 9,
            "restart": "no",
            "networks": {"net": []},
            "answer": None,
        }
    }


@pytest.mark.parametrize(
    ("status", "services", "printed", "answer"),
    [
        ("running", (), '{"a": 1}', {"a": 1}),
        ("running", ("app",), '{"a": 1}', {"a": 1}),
        ("running", ("another",), '{"a": 1}', None),
        ("running", (), "no JSON", None),
        ("running", (), None, None),
        ("paused", (), '{"a": 1}', None),
        ("exited", (), '{"a": 1}', None),
    ],
)
def test_a_container_that_runs_is_asked_its_question(
    docker: Path, status: str, services: tuple[str, ...], printed: str | None, answer: Any
) -> None:
    labels = {"play-with-containers.service": "app", "play-with-containers.question": '["describe"]'}
    put(docker, container("app", status, labels))
    if printed is not None:
        (docker / "exec-id-of-app").write_text(printed)
    assert survey.engine_survey(services)["containers"]["app"]["answer"] == answer


def test_a_question_that_is_not_answered_in_time_has_no_answer(docker: Path) -> None:
    labels = {"play-with-containers.service": "app", "play-with-containers.question": '["describe"]'}
    (docker / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    assert survey.answer(container("app", "running", labels), 0.1) is None


def test_an_engine_that_does_not_answer_is_an_error_with_its_words(docker: Path) -> None:
    (docker / "docker").write_text("#!/bin/sh\necho Cannot connect >&2\nexit 1\n")
    with pytest.raises(RuntimeError, match="Cannot connect"):
        survey.engine_survey()


def test_files_are_found_below_directories_and_what_does_not_exist_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder/file").write_bytes(b"1")
    (tmp_path / "folder/file").chmod(0o640)
    (tmp_path / "link").symlink_to("nowhere")
    found = survey.file_survey([str(tmp_path), str(tmp_path / "missing")])
    names = {Path(path).name: item for path, item in found.items() if path != str(tmp_path)}
    assert names.keys() == {"folder", "file", "link"}
    assert names["file"]["checksum"].startswith("6b86b273ff34")
    assert [names[name]["mode"] for name in ("folder", "file")] == ["0700", "0640"]
    assert names["folder"]["checksum"] is names["link"]["checksum"] is None


def test_free_space_is_that_of_the_engine_and_the_least_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {"/srv/docker": 9, "/var/lib": 7, "/var": 3, "/etc": 5}
    monkeypatch.setattr(survey, "WRITTEN_TO", ("/var/lib", "/var", "/etc"))
    monkeypatch.setattr(
        survey.shutil, "disk_usage", lambda path: SimpleNamespace(free=(free[path] << 20) + 1)
    )
    assert survey.free_mib("/srv/docker") == {"for_docker": 9, "for_system": 3}


@pytest.mark.parametrize(("seconds", "slowness"), [(0.004, 1), (0.012, 1), (0.023, 1), (0.125, 10)])
def test_a_machine_is_as_slow_as_the_best_of_three_tries(
    monkeypatch: pytest.MonkeyPatch, seconds: float, slowness: int
) -> None:
    ticks = iter([0.0, 9.0, 10.0, 10.0 + seconds, 20.0, 29.0])
    monkeypatch.setattr(survey.time, "process_time", lambda: next(ticks))
    assert survey.slowness() == slowness
