from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from check_pins import problems

HASH = "--hash=sha256:" + "0a" * 32
GOOD = (
    f"# made by a tool\nflask==3.1.0 ; python_version >= '3.11' \\\n    {HASH} \\\n    {HASH}\n    # via me\n"
)


def with_file(root: Path, name: str, content: str) -> list[str]:
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)
    return problems(root)


@pytest.mark.parametrize(
    "name", ["requirements.txt", "a/b/requirements.txt", "requirements/control.txt", "requirements-dev.txt"]
)
def test_exact_versions_with_hashes_are_right(tmp_path: Path, name: str) -> None:
    assert with_file(tmp_path, name, GOOD) == []
    assert with_file(tmp_path, name, f"{GOOD}granian\n") != []


@pytest.mark.parametrize(
    "line", ["granian", "granian>=2", "granian==2.*", "granian~=2.8", "granian @ https://x/y"]
)
def test_what_is_no_exact_version_is_named(tmp_path: Path, line: str) -> None:
    found = with_file(tmp_path, "requirements.txt", f"{GOOD}{line} {HASH}\n")
    assert found == [f"requirements.txt: {line} is no exact version; write it anew with `make lock`."]


@pytest.mark.parametrize(
    "line", ["granian==2.8", "granian==2.8 --hash=md5:00", "granian==2.8 --hash=sha256:00"]
)
def test_a_version_without_a_hash_is_named(tmp_path: Path, line: str) -> None:
    [sentence] = with_file(tmp_path, "requirements.txt", f"{GOOD}{line}\n")
    assert "granian==2.8 has no sha256 hash" in sentence


@pytest.mark.parametrize("line", ["-r other.txt", "--index-url https://x", "-e ."])
def test_what_brings_in_more_is_named(tmp_path: Path, line: str) -> None:
    [sentence] = with_file(tmp_path, "requirements.txt", f"{GOOD}{line}\n")
    assert "brings in" in sentence


def test_an_image_must_ask_for_hashes(tmp_path: Path) -> None:
    good = (
        "FROM x\nRUN python3 -m venv /v \\\n && pip --python /v install --require-hashes \\\n -r a && true\n"
    )
    assert with_file(tmp_path, "srcs/a/Dockerfile", good) == []
    [sentence] = with_file(tmp_path, "srcs/a/Dockerfile", f"{good}RUN pip3 install flask && true\n")
    assert "`pip3 install flask` takes what it gets" in sentence
