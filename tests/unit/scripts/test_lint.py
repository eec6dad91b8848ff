"""What `make lint` finds by the hooks that are not a linter's own, in a small repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HASH = "--hash=sha256:" + "0a" * 32
PINNED = (
    f"# made by a tool\nflask==3.1.0 ; python_version >= '3.11' \\\n    {HASH} \\\n    {HASH}\n    # via me\n"
)
# Put together here, so that lint does not find them in this file.
SECRETS = {
    "a cloud's key": "key = '" + "AKIA" + "IOSFODNN7ABCDEFG" + "'",
    "a token": "url = 'https://x/' + 'ghp_" + "a1B2" * 9 + "'",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nabc",
    "a password": "password = '" + "Zk3vQ8rT1x" + "'",
    "a password in YAML": "rabbitmq_password: " + "Zq8wK2rT5yB7n",
    "a password in an environment": "POSTGRES_PASSWORD=" + "xK7pQ2mZ9rT4wB8nL3vC6yH1sD5gF0jA",
}


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


def commit(repository: Path, name: str, content: str | None) -> None:
    (repository / name).unlink() if content is None else (repository / name).write_text(content)
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "--message", name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "scripts").mkdir(parents=True)
    for name in ("lint", "check_secrets", "no_match", "secrets.yml", "secret_rules.yml"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    (folder / ".gitignore").write_text(".env\n.cache/\n")
    git(folder, "init", "--quiet")
    shutil.copy(ROOT / ".pre-commit-config.yaml", folder)
    commit(folder, "read.me", "Nothing to hide.\n")
    return folder


def lint(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    # To compile kingfisher's rules takes seconds, and they are the same everywhere.
    cache = str(ROOT / ".cache" / "kingfisher")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [folder / "scripts" / "lint", *names],
        env=os.environ | {"PATH": path, "KF_RULE_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


# --- secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_found_before_it_is_committed_and_not_printed(repository: Path, secret: str) -> None:
    (repository / "app.py").write_text(f"# one\n{secret}\n")
    done = lint(repository, "secrets")
    assert done.returncode == 1
    assert "app.py" in done.stdout
    assert secret.splitlines()[0] not in done.stdout


def test_a_secret_that_was_taken_out_again_is_found_in_the_history(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "other")
    commit(repository, "app.py", SECRETS["a password"])
    commit(repository, "app.py", None)
    git(repository, "checkout", "--quiet", "-")
    done = lint(repository, "secrets")
    assert done.returncode == 1
    assert "app.py" in done.stdout


def test_without_secrets_it_passes_and_env_is_not_looked_at(repository: Path) -> None:
    (repository / ".env").write_text(SECRETS["a password in an environment"])
    done = lint(repository, "secrets")
    assert done.returncode == 0
    assert done.stdout.endswith("\n1 checks passed, 0 failed, 0 skipped.\n")


def test_of_a_shallow_clone_it_is_said_that_the_history_is_missing(repository: Path, tmp_path: Path) -> None:
    commit(repository, "more", "more")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    done = lint(tmp_path / "shallow", "secrets")
    assert done.returncode == 0
    assert "skipped: this is a shallow clone" in done.stdout
    assert done.stdout.endswith("\n0 checks passed, 0 failed, 1 skipped.\n")


# --- what must not be in a file -----------------------------------------------------------

BAD = [
    ("registries", "https://pypi" + ".org/simple"),
    ("registries", "deb http://security" + ".debian.org/ bookworm"),
    ("registries", "FROM docker" + ".io/library/debian"),
    ("homes", "cd /home" + "/ada/films"),
    ("homes", "cd /root" + "/films"),
    ("conflicts", "<<<<<<" + "< HEAD"),
]


@pytest.mark.parametrize(("hook", "line"), BAD)
def test_what_must_not_be_there_is_told_with_its_place(repository: Path, hook: str, line: str) -> None:
    (repository / "file.txt").write_text(f"one\n{line}\n")
    done = lint(repository, hook)
    assert done.returncode == 1
    assert "file.txt:2:" in done.stdout


def test_the_path_of_the_repository_itself_is_told(repository: Path) -> None:
    (repository / "file.txt").write_text(f"cd {repository}/srcs\n")
    done = lint(repository, "here")
    assert done.returncode == 1
    assert "file.txt:1:" in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "apt-get install docker.io",
        "/usr/share/doc/docker.io/README",
        "install -d /home" + "/vagrant/.ssh",
        "the folder /var/home/x and /rootless/x",
    ],
)
def test_ordinary_lines_are_left_alone(repository: Path, line: str) -> None:
    (repository / "file.txt").write_text(f"{line}\n")
    assert lint(repository, "registries", "homes", "here", "conflicts").returncode == 0


# --- pins ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *("granian", "granian>=2 \\", "granian==2.* \\", "granian @ https://x/y \\", "granian==2.8"),
        *("    --hash=md5:00", "    --hash=sha256:00", "-r other.txt", "--index-url https://x", "-e ."),
    ],
)
def test_what_is_no_exact_version_with_a_hash_is_told(repository: Path, line: str) -> None:
    path = repository / "requirements.txt"
    path.write_text(PINNED)
    assert lint(repository, "pins").returncode == 0
    path.write_text(f"{PINNED}{line}\n")
    assert "requirements.txt:6:" in lint(repository, "pins").stdout


def test_an_image_must_ask_for_hashes(repository: Path) -> None:
    good = (
        "FROM x\nRUN python3 -m venv /v \\\n && pip --python /v install \\\n --require-hashes -r a && true\n"
    )
    path = repository / "Dockerfile"
    path.write_text(good)
    assert lint(repository, "image-pins").returncode == 0
    path.write_text(f"{good}RUN pip3 install \\\n flask && true --require-hashes\n")
    assert "pip3 install" in lint(repository, "image-pins").stdout


# --- the summary --------------------------------------------------------------------------

HOOK = "{{id: {0}, name: {0}, language: system, verbose: true, entry: '{1}', pass_filenames: false}}"


def test_what_fails_fails_all_and_what_could_not_be_checked_is_said(repository: Path) -> None:
    hooks = [HOOK.format("good", "true"), HOOK.format("far", "echo skipped: nobody answers.")]
    config = repository / ".pre-commit-config.yaml"
    config.write_text(f"repos: [{{repo: local, hooks: [{', '.join(hooks)}]}}]")
    done = lint(repository)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].endswith("Skipped")
    assert done.stdout.endswith("  skipped: nobody answers.\n1 checks passed, 0 failed, 1 skipped.\n")

    hooks.append(HOOK.format("bad", 'sh -c "echo the reason; exit 3"'))
    config.write_text(f"repos: [{{repo: local, hooks: [{', '.join(hooks)}]}}]")
    done = lint(repository)
    assert done.returncode == 1
    assert done.stdout.endswith("  the reason\n1 checks passed, 1 failed, 1 skipped.\n")


def test_without_git_it_says_what_to_do(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    done = lint(repository)
    assert done.returncode == 1
    assert "clone the repository" in done.stdout
