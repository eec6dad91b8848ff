"""The module that tells which clusters a database's volume holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_loader import load_plugin
from tests.library.programs import put_program

module = load_plugin("roles/postgres/library/postgres_clusters.py")


def cluster(volume: Path, name: str, major: int) -> None:
    (volume / name).mkdir()
    (volume / name / "PG_VERSION").write_text(f"{major}\n")


def test_a_volume_without_links_serves_what_the_first_start_made(tmp_path: Path) -> None:
    cluster(tmp_path, "main", 15)
    found = module.describe(tmp_path, "15", 15)
    assert found["problem"] == ""
    assert (found["current"], found["previous"], found["back"]) == ("main", "", False)
    assert (found["served"], found["strays"], found["upgrading"]) == (["15"], [], False)


def test_after_a_restore_the_former_cluster_is_kept_and_leftovers_are_strays(tmp_path: Path) -> None:
    for name in ("main", "restored-1", "restored-0", "upgraded-17-x"):
        cluster(tmp_path, name, 15)
    (tmp_path / "current-15").symlink_to("restored-1")
    (tmp_path / "previous").symlink_to("main")
    (tmp_path / "switched.json").write_text("{}")
    found = module.describe(tmp_path, "15", 15)
    assert (found["current"], found["previous"], found["back"]) == ("restored-1", "main", True)
    assert found["strays"] == ["restored-0", "upgraded-17-x"]
    assert found["links"] == {"current-15": "restored-1", "previous": "main"}


def test_the_former_cluster_is_none_to_go_back_to_where_it_is_of_another_version(tmp_path: Path) -> None:
    cluster(tmp_path, "main", 15)
    cluster(tmp_path, "upgraded-17-x", 17)
    (tmp_path / "current-17").symlink_to("upgraded-17-x")
    (tmp_path / "previous").symlink_to("main")
    (tmp_path / "upgrading").write_text("15\nmain\n")
    found = module.describe(tmp_path, "17", 17)
    assert (found["previous"], found["back"], found["served"]) == ("main", False, ["17"])
    assert found["upgrading"]
    assert module.describe(tmp_path, "17", 15)["back"]


def test_what_is_served_already_is_not_kept_for_later(tmp_path: Path) -> None:
    cluster(tmp_path, "main", 15)
    (tmp_path / "previous").symlink_to("main")
    assert module.describe(tmp_path, "15", 15)["previous"] == ""


@pytest.mark.parametrize("link", [True, False])
def test_a_served_cluster_that_is_gone_is_a_problem(tmp_path: Path, link: bool) -> None:
    if link:
        cluster(tmp_path, "main", 15)
        (tmp_path / "current-15").symlink_to("restored-1")
    problem = module.describe(tmp_path, "15", 15)["problem"]
    assert (
        f"holds no {'restored-1' if link else 'main'} to serve, but {'main' if link else 'nothing'}"
        in problem
    )


def test_a_volume_without_a_container_is_described(tmp_path: Path) -> None:
    cluster(tmp_path, "main", 15)
    assert module.describe(tmp_path, "", 15)["problem"] == ""


def test_an_image_that_names_no_version_has_the_first_one() -> None:
    assert module.running_version(["PATH=/bin", "POSTGRES_MAJOR=17"]) == "17"
    assert module.running_version(["PATH=/bin"]) == "15"


def test_docker_is_asked_and_what_does_not_exist_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for script, expected in (
        ("echo /volume", "/volume"),
        ("echo 'Error: No such container: x' >&2; exit 1", ""),
    ):
        put_program(tmp_path / "docker", script)
        assert module.ask_docker("inspect", "x") == expected
    put_program(tmp_path / "docker", "echo 'Cannot connect' >&2; exit 1")
    with pytest.raises(RuntimeError, match="Cannot connect"):
        module.ask_docker("inspect", "x")
