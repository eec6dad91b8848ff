"""The module that waits for a container, with a program in the place of the docker command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugin_loader import load_plugin
from tests.library.programs import put_program

healthy = load_plugin("roles/container/library/container_healthy.py")

SECOND = 10**9


def container(
    health: str | None, *, status: str = "running", restarts: int = 0, **check: int
) -> dict[str, Any]:
    """A container as `docker inspect` tells of it."""
    state: dict[str, Any] = {
        "Status": status,
        "Running": status == "running",
        "OOMKilled": False,
        "ExitCode": 3,
    }
    if health is not None:
        state["Health"] = {"Status": health, "Log": [{"Output": "first\n"}, {"Output": "no database\n"}]}
    return {"Id": "f00", "State": state, "RestartCount": restarts, "Config": {"Healthcheck": check or None}}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (container("healthy"), "healthy"),
        (container("healthy", restarts=9), "healthy"),
        (container("starting"), "starting"),
        (container("unhealthy"), "unhealthy"),
        (container("unhealthy", restarts=3), "hopeless"),
        (container("starting", status="exited"), "hopeless"),
        (container("unhealthy", status="paused"), "hopeless"),
        (container(None), "hopeless"),
        (None, "hopeless"),
    ],
)
def test_waiting_ends_where_it_is_of_no_use(found: dict[str, Any] | None, status: str) -> None:
    assert healthy.status(found) == status


def test_a_container_gets_its_start_period_and_all_its_retries_and_more_on_a_slow_machine() -> None:
    checked = container(
        "starting", StartPeriod=20 * SECOND, Interval=5 * SECOND, Timeout=3 * SECOND, Retries=4
    )
    assert healthy.limit(checked, 1) == 20 + (5 + 3) * 4 + 10
    assert healthy.limit(checked, 10) == (20 + (5 + 3) * 4) * 10 + 10
    # Docker's own defaults.
    assert healthy.limit(container("starting"), 1) == (30 + 30) * 3 + 10


def test_the_reason_holds_the_state_the_last_answer_and_the_last_lines_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = f"[ \"$1\" = logs ] || exec cat '{tmp_path}/inspected'"
    put_program(tmp_path / "docker", show, "seq 40; echo the end >&2")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "inspected").write_text(json.dumps([container("unhealthy", status="exited")]))
    lines = healthy.reason("app", healthy.inspect("app")).splitlines()
    assert lines[0] == "app is exited (exit code 3)."
    assert lines[1] == "Its health check says unhealthy: no database"
    assert lines[-1] == "the end"
    assert len(lines) == 3 + 20


def test_a_container_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path / "docker", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert healthy.inspect("app") is None
    assert healthy.reason("app", None) == "app is gone."


def test_it_waits_until_a_container_is_healthy_and_no_longer_than_it_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = iter([container("starting"), container("unhealthy"), container("healthy")])
    monkeypatch.setattr(healthy, "PAUSE", 0)
    monkeypatch.setattr(healthy, "check_passes", lambda _: False)
    monkeypatch.setattr(healthy, "inspect", lambda _: next(seen))
    assert healthy.wait("app", 1) == ""
    monkeypatch.setattr(healthy, "inspect", lambda _: container("starting"))
    monkeypatch.setattr(healthy, "limit", lambda *_: 0)
    monkeypatch.setattr(healthy, "reason", lambda name, _: f"{name} is late")
    assert healthy.wait("app", 1) == "app is late"


def test_it_runs_the_check_of_a_container_that_docker_has_not_checked_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(
        tmp_path / "docker", f"echo \"$@\" >>'{tmp_path}/called'", '[ "$4" = pass ] || [ "$5" = pass ]'
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    checked = container("starting", Timeout=5 * SECOND)

    checked["Config"]["Healthcheck"]["Test"] = ["CMD", "check", "pass"]
    monkeypatch.setattr(healthy, "inspect", lambda _: checked)
    assert healthy.wait("app", 1) == ""
    checked["Config"]["Healthcheck"]["Test"] = ["CMD-SHELL", "pass"]
    assert healthy.check_passes(checked)
    checked["Config"]["Healthcheck"]["Test"] = ["CMD", "check", "fail"]
    assert not healthy.check_passes(checked)

    assert (tmp_path / "called").read_text().splitlines() == [
        "exec f00 check pass",
        "exec f00 /bin/sh -c pass",
        "exec f00 check fail",
    ]
