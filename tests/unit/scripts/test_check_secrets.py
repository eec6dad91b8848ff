from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from check_secrets import EXIT_SKIPPED, NO_SECRETS

ROOT = Path(__file__).resolve().parents[3]
# Put together here, so that this file holds none.
SECRETS = {
    "a cloud's key": "key = '" + "AKIA" + "IOSFODNN7ABCDEFG" + "'",
    "a token": "url = 'https://x/' + 'ghp_" + "a1B2" * 9 + "'",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nabc\n",
    "a password": "password = '" + "Zk3vQ8rT1x" + "'",
}


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


def commit(repository: Path, name: str, content: str | None) -> None:
    if content is None:
        git(repository, "rm", "--quiet", name)
    else:
        (repository / name).write_text(content)
        git(repository, "add", name)
    git(repository, "commit", "--quiet", "--message", name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, "read.me", "Nothing to hide.\n")
    return folder


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "check_secrets.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_repository_without_secrets_passes(repository: Path) -> None:
    done = check(repository)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_in_the_working_tree_is_found_before_it_is_committed(repository: Path, secret: str) -> None:
    (repository / "app.py").write_text(f"# one\n{secret}\n")
    done = check(repository)
    assert done.returncode == 1
    assert done.stdout.startswith("app.py, line 2: ")


def test_a_secret_that_was_taken_out_again_is_found_in_the_history(repository: Path) -> None:
    commit(repository, "app.py", SECRETS["a cloud's key"])
    commit(repository, "app.py", None)
    done = check(repository)
    assert done.returncode == 1
    assert "app.py (history, blob " in done.stdout


def test_a_secret_on_another_branch_is_found(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "other")
    commit(repository, "app.py", SECRETS["a token"])
    git(repository, "checkout", "--quiet", "-")
    assert check(repository).returncode == 1


def test_the_secret_itself_is_not_printed(repository: Path) -> None:
    (repository / "app.py").write_text(SECRETS["a password"])
    assert "Zk3vQ8" not in check(repository).stdout


def test_what_is_no_secret_can_be_said_with_a_reason(repository: Path) -> None:
    (repository / "app.py").write_text(SECRETS["a password"])
    (repository / NO_SECRETS).parent.mkdir()
    (repository / NO_SECRETS).write_text("Zk3vQ8rT1x: a word of a test\n")
    assert check(repository).returncode == 0
    (repository / NO_SECRETS).write_text("Zk3vQ8rT1x:\n")
    done = check(repository)
    assert done.returncode == 1
    assert "has no reason" in done.stdout


def test_of_a_shallow_clone_it_is_said_that_the_history_is_missing(repository: Path, tmp_path: Path) -> None:
    commit(repository, "more", "more")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    done = check(tmp_path / "shallow")
    assert done.returncode == EXIT_SKIPPED
    assert done.stdout.startswith("skipped: this is a shallow clone")
    assert done.stderr == ""


def test_of_a_folder_without_git_the_files_are_looked_through_and_the_rest_is_said(
    repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(repository, tmp_path / "tarball", ignore=shutil.ignore_patterns(".git"))
    done = check(tmp_path / "tarball")
    assert done.returncode == EXIT_SKIPPED
    assert done.stdout.startswith("skipped: there is no git repository here")
    assert done.stderr == ""
    (tmp_path / "tarball" / "app.py").write_text(SECRETS["a password"])
    assert check(tmp_path / "tarball").returncode == 1
