"""The `.env` of a machine that has nothing but Docker, and the secret files that Compose makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.library.programs import attempt, put_program

import env_file
from argument_specs import ROOT

WRITE_SECRETS = ROOT / "srcs/secrets/write-secrets"
USER = os.getuid()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/make_env", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def make_env(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    return attempt(folder / "scripts/make_env", *arguments, cwd="/", env=environment)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_makes_a_valid_env_with_another_password_for_each_account(folder: Path) -> None:
    done = make_env(folder)
    assert done.stdout == ".env made, with random passwords.\n"
    made = env_file.load(folder / ".env")
    assert set(made) == {*env_file.RULES, "CLUSTER_PASSWORD"}
    passwords = [value for key, value in made.items() if key.endswith(("_PASSWORD", "_PASS"))]
    assert len(set(passwords)) == len(passwords) == 11
    assert all(re.fullmatch("[A-Za-z0-9]{32}", password) for password in passwords)
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert names(folder) == [".env", ".env.example", "scripts"]


def test_an_existing_env_stays_as_it_is(folder: Path) -> None:
    (folder / ".env").write_text("mine\n")
    assert "stays" in make_env(folder).stdout
    assert (folder / ".env").read_text() == "mine\n"


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(folder: Path) -> None:
    # `sync` comes last before the file gets its name.
    programs = folder / "programs"
    programs.mkdir()
    put_program(programs / "sync", f'echo theirs > "{folder}/.env"')
    done = make_env(folder, PATH=f"{programs}:{os.environ['PATH']}")
    assert done.returncode == 0
    assert "stays" in done.stdout
    assert (folder / ".env").read_text() == "theirs\n"
    assert names(folder) == [".env", ".env.example", "programs", "scripts"]


def test_a_failure_is_one_and_leaves_nothing_behind(folder: Path) -> None:
    (folder / ".env.example").unlink()
    done = make_env(folder)
    assert done.returncode != 0
    assert ".env.example" in done.stderr
    assert names(folder) == ["scripts"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_through_sudo_the_file_belongs_to_the_calling_user(folder: Path) -> None:
    make_env(folder, str(folder / "mine.env"), SUDO_UID="12345", SUDO_GID="23456")
    made = (folder / "mine.env").stat()
    assert (made.st_uid, made.st_gid) == (12345, 23456)


def test_an_extra_password_of_a_changed_example_is_filled_too(folder: Path) -> None:
    with (folder / ".env.example").open("a") as example:
        example.write("EXTRA_SHOP_PASSWORD=\nEXTRA_SHOP_NAME=\n")
    make_env(folder)
    values = env_file.load(folder / ".env")
    assert len(values["EXTRA_SHOP_PASSWORD"]) == 32
    assert values["EXTRA_SHOP_NAME"] == ""


# --- the secret files -------------------------------------------------------------------------


def write(folder: Path, values: str, files: str) -> subprocess.CompletedProcess[str]:
    (folder / "values").write_text(values)
    (folder / "files").write_text(files)
    # As in its container, which has no locale.
    variables = {
        "VALUES_FILE": "values",
        "SECRET_FILES": "files",
        "SECRETS_DIRECTORY": ".",
        "PATH": os.environ["PATH"],
    }
    return attempt(WRITE_SECRETS, cwd=folder, env=variables)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path


PASSWORD = "a\"b\\c$d &e'f`g=h@KEY_PASSWORD@"
FILES = f"""\
--- one/password {USER}
@KEY_PASSWORD@
--- one/empty {USER}
--- two/definitions.json {USER}
{{
 "users": [
  {{"name": "@KEY_USER@", "password": "@KEY_PASSWORD@"}}
 ],
 "rights": ["^orders$"]
}}
"""


def test_each_file_gets_its_values_whatever_they_are(volumes: Path) -> None:
    done = write(volumes, f"KEY_USER=somebody\nKEY_PASSWORD={PASSWORD}\n", FILES)
    assert done.returncode == 0, done.stderr
    assert (volumes / "one/password").read_text() == PASSWORD
    assert (volumes / "one/empty").read_text() == ""
    assert json.loads((volumes / "two/definitions.json").read_text()) == {
        "users": [{"name": "somebody", "password": PASSWORD}],
        "rights": ["^orders$"],
    }
    for path, mode in (
        ("one", 0o500),
        ("two", 0o500),
        ("one/password", 0o400),
        ("two/definitions.json", 0o400),
    ):
        assert (volumes / path).stat().st_mode & 0o777 == mode
    assert PASSWORD not in done.stdout + done.stderr
    assert not (volumes / "values").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("KEY_PASSWORD=short", "KEY_PASSWORD in .env has 5 characters: use at least 12."),
        ("KEY_PASS=", "KEY_PASS in .env has 0 characters"),
        ("KEY_PASSWORD=twelve\tletters", "KEY_PASSWORD in .env holds a control character"),
        ("KEY_USER=no name", "KEY_USER in .env is 'no name', which is no account name"),
        ("API_TOKEN=fifteen-letters", "API_TOKEN in .env is too short"),
    ],
)
def test_a_wrong_value_is_told_and_nothing_is_written(volumes: Path, value: str, said: str) -> None:
    done = write(volumes, f"{value}\nOTHER_PASSWORD=another one\n", FILES)
    assert done.returncode == 78
    assert said in done.stderr
    assert "OTHER_PASSWORD in .env has 11 characters" in done.stderr
    assert not list((volumes / "one").iterdir())


@pytest.mark.parametrize(
    ("key", "text", "right"),
    [
        ("POSTGRES_PASSWORD", "twelve chars", True),
        ("POSTGRES_PASSWORD", "elevenchars", False),
        ("POSTGRES_PASSWORD", "ß" * 12, True),
        ("POSTGRES_PASSWORD", "ß" * 11, False),
        ("RABBITMQ_DEFAULT_PASS", "one\tin twelve", False),
        ("HEALTH_RABBITMQ_USER", "a_b-1", True),
        ("HEALTH_RABBITMQ_USER", "_" + "a" * 62, True),
        ("HEALTH_RABBITMQ_USER", "a" * 64, False),
        ("HEALTH_RABBITMQ_USER", "Admin", False),
        ("HEALTH_RABBITMQ_USER", "1a", False),
        ("HEALTH_RABBITMQ_USER", "-a", False),
        ("HEALTH_RABBITMQ_USER", "é", False),
        ("API_TOKEN", "0123456789abcdef", True),
        ("API_TOKEN", "0123456789abcde=", True),
        ("API_TOKEN", "-._~+/0123456789==", True),
        ("API_TOKEN", "0123456789abcde", False),
        ("API_TOKEN", "0123456789=abcdef", False),
        ("API_TOKEN", "0123456789 abcdef", False),
    ],
)
def test_both_checks_of_env_say_the_same(volumes: Path, key: str, text: str, right: bool) -> None:
    assert ({**env_file.RULES, **env_file.OPTIONAL_RULES}[key](text) is None) == right
    done = write(volumes, f"{key}={text}\n", f"--- one/file {USER}\n@{key}@\n")
    assert (done.returncode, key in done.stderr) == ((0, False) if right else (78, True))


def test_without_its_input_it_says_how_it_is_started() -> None:
    done = attempt(WRITE_SECRETS, env={"VALUES_FILE": "/none"})
    assert done.returncode == 78
    assert "docker compose up" in done.stderr
