"""What scripts/setup says and does where something is missing. None of these installs anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.library.programs import attempt, put_program

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = (
    "bash",
    "cat",
    "cut",
    "dirname",
    "find",
    "flock",
    "grep",
    "id",
    "mkdir",
    "sed",
    "sha256sum",
    "tail",
    "timeout",
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what setup needs; the environment in it is never made."""
    shutil.copytree(ROOT / "scripts", tmp_path / "clone" / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "clone" / "requirements")
    return tmp_path / "clone"


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH on which only the basic programs are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def other_system(tmp_path: Path) -> Path:
    path = tmp_path / "os-release"
    path.write_text('ID=slackware\nVERSION_ID=15\nPRETTY_NAME="Slackware 15"\n')
    return path


def setup(clone: Path, *arguments: str, **environment: str | Path) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {name: str(value) for name, value in environment.items()}
    return attempt(clone / "scripts" / "setup", *arguments, env=variables)


def test_another_system_is_told_what_to_install(clone: Path, bare_path: Path, other_system: Path) -> None:
    done = setup(clone, "--with", "vagrant", PATH=bare_path, SETUP_OS_RELEASE=other_system)
    assert done.returncode == 1
    assert "Slackware 15 is not a system whose packages are known here" in done.stderr
    assert "  - Vagrant\n" in done.stderr
    assert "  - mmdebstrap\n" in done.stderr
    assert not (clone / ".venv").exists()


def test_only_what_the_target_needs_is_asked_for(clone: Path, bare_path: Path, other_system: Path) -> None:
    done = setup(clone, PATH=bare_path, SETUP_OS_RELEASE=other_system)
    assert "mmdebstrap" in done.stderr
    assert "Vagrant" not in done.stderr
    assert "RabbitMQ" not in done.stderr


@pytest.mark.parametrize("argument", ["--wiht", "vagrant"])
def test_an_unknown_argument_is_named(clone: Path, argument: str) -> None:
    done = setup(clone, argument)
    assert done.returncode == 1
    assert f"'{argument} ' is no argument of scripts/setup" in done.stderr


@pytest.mark.parametrize(
    ("made_for", "wanted", "current"),
    [
        ("control", "control", True),
        ("control", "tests", False),
        ("tests", "tests", True),
        ("tests", "control", True),
    ],
)
def test_an_environment_for_the_tests_is_one_for_the_platform_too(
    clone: Path, made_for: str, wanted: str, current: bool
) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to(sys.executable)
    source = f'root={clone} && source "$root/scripts/lib/environment.sh"'
    subprocess.run(
        ["bash", "-c", f'{source}; environment_fingerprint {made_for} >"$root/.venv/.fingerprint"'],
        check=True,
    )
    asked = subprocess.run(["bash", "-c", f"{source}; environment_is_current {wanted}"], check=False)
    assert (asked.returncode == 0) is current


@pytest.fixture
def policy_machine(tmp_path: Path, clone: Path) -> Path:
    """apt_install with a policy file and an apt-get of its own; the real ones are not touched."""
    script = clone / "scripts" / "lib" / "apt_install"
    script.write_text(script.read_text().replace("/usr/sbin/policy-rc.d", str(tmp_path / "policy-rc.d")))
    return script


def install(script: Path, apt_get: str) -> tuple[int, str]:
    """Run apt_install with this text as apt-get; gives its exit code and what apt-get printed."""
    programs = script.parent / "programs"
    programs.mkdir(exist_ok=True)
    put_program(programs / "apt-get", apt_get)
    done = attempt(script, "package", env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"})
    return done.returncode, done.stdout


def test_while_packages_are_installed_no_service_may_start(policy_machine: Path, tmp_path: Path) -> None:
    code, printed = install(policy_machine, f"{tmp_path}/policy-rc.d postgresql start; echo $?")
    assert (code, printed) == (0, "101\n")
    assert not (tmp_path / "policy-rc.d").exists()


@pytest.mark.parametrize("end", ["true", "exit 100", "kill -TERM $PPID", "kill -KILL $PPID"])
def test_the_machines_own_policy_comes_back(policy_machine: Path, tmp_path: Path, end: str) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0 # the machine's own\n")
    install(policy_machine, end)
    if "KILL" in end:
        # Nothing can tidy up then; the next run does.
        assert "the machine's own" not in policy.read_text()
        install(policy_machine, "exit 1")
    assert "the machine's own" in policy.read_text()
    assert [path.name for path in tmp_path.iterdir() if "policy" in path.name] == ["policy-rc.d"]
