"""What CI runs: the same on both forges, with commands that exist, and as typed in a Debian of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from tests.library.programs import attempt, put_program

from argument_specs import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
GITLAB = ROOT / ".gitlab-ci.yml"


def github_runs() -> set[tuple[str, str]]:
    jobs: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return {
        (entry["target"], str(entry["debian"])) for entry in jobs["test"]["strategy"]["matrix"]["include"]
    }


def gitlab_runs() -> set[tuple[str, str]]:
    runs = set()
    for job in yaml.safe_load(GITLAB.read_text()).values():
        if "extends" in job:
            given = job["variables"]
            matrix = job.get("parallel", {"matrix": [{"DEBIAN": [given.get("DEBIAN")]}]})["matrix"]
            runs |= {(given["TARGET"], debian) for debian in matrix[0]["DEBIAN"]}
    return runs


def test_both_forges_run_the_same() -> None:
    assert github_runs() == gitlab_runs() != set()


def test_each_target_that_ci_runs_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {target for target, _ in github_runs()} <= targets


def test_each_action_is_pinned_to_a_commit() -> None:
    actions = re.findall(r"uses: *(\S+)", WORKFLOW.read_text())
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_a_command_reaches_debian_as_typed(tmp_path: Path) -> None:
    put_program(tmp_path / "docker", 'printf "%s\\0" "$@"', "exit 3")
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = attempt(ROOT / ".ci" / "debian", "13", "make", "TEXT=two  words $HOME", env=variables)
    arguments = done.stdout.split("\0")[:-1]
    assert "debian:13" in arguments
    assert arguments[-2:] == ["make", "TEXT=two  words $HOME"]
    assert done.returncode == 3
