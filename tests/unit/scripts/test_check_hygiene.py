from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from check_hygiene import problems

# Written in two halves, so that the check of this repository does not find them here.
BAD = {
    "a private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "an access token": "ghp_" + "a1B2" * 9,
    "what looks like a secret": "password: " + "Zq8" * 9,
    "a registry's host": "https://pypi" + ".org/simple",
    "a registry's host (image)": "FROM docker" + ".io/library/debian",
    "a path of one machine": "cd /home" + "/ada/films",
    "a path of one machine (root's)": "cd /root" + "/films",
    "a merge conflict": "<<<<<<" + "< HEAD",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(".env\n")
    return tmp_path


@pytest.mark.parametrize("kind", BAD)
def test_what_must_not_be_there_is_told_with_its_place(repository: Path, kind: str) -> None:
    (repository / "file").write_text(f"one\n{BAD[kind]}\n")
    [sentence] = problems(repository)
    assert sentence.startswith("file, line 2: " + kind.split(" (", maxsplit=1)[0])


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD=",
        'password: \'{{ lookup("env_file", "POSTGRES_PASSWORD") }}\'',
        "password_file = /run/secrets/database_password",
        "apt-get install docker.io",
        "/usr/share/doc/docker.io/README",
        "install -d /home" + "/vagrant/.ssh",
        "the folder /var/home/x and /rootless/x",
    ],
)
def test_ordinary_lines_are_left_alone(repository: Path, text: str) -> None:
    (repository / "file").write_text(text + "\n")
    assert problems(repository) == []


def test_the_path_of_the_repository_itself_is_told(repository: Path) -> None:
    (repository / "file").write_text(f"cd {repository}/srcs\n")
    [sentence] = problems(repository)
    assert "a path of one machine" in sentence


def test_what_git_ignores_is_left_alone(repository: Path) -> None:
    (repository / ".env").write_text(BAD["what looks like a secret"])
    assert problems(repository) == []


def test_pictures_are_left_alone(repository: Path) -> None:
    (repository / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    assert problems(repository) == []
