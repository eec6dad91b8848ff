#!/usr/bin/env python3
"""Looks for secrets in the working tree and in every file of the history (detect-secrets).

What only looks like a secret stands in `scripts/no_secrets.yml`, with the reason. Exit code 75
(EX_TEMPFAIL of sysexits.h): nothing was found, but the history could not be looked through.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml
from detect_secrets.__version__ import VERSION
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from tracked_files import tracked_files

ROOT = Path(__file__).resolve().parent.parent
NO_SECRETS = Path("scripts/no_secrets.yml")
AT_ONCE = 2
EXIT_SKIPPED = 75
# What this version of the scanner and of this script found nothing in, so that it need not look again.
KNOWN_CLEAN = (
    ROOT
    / ".cache"
    / "check_secrets"
    / sha256(VERSION.encode() + Path(__file__).read_bytes()).hexdigest()[:12]
)
VERIFICATION = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"


class HistoryError(Exception):
    """The history cannot be looked through; the text is a sentence."""


class NoReasonError(Exception):
    """An entry of the list of what is no secret does not say why; the text is a sentence."""


@dataclass(frozen=True)
class Finding:
    """What looks like a secret; `where` is a path, or a path and a blob of the history."""

    where: str
    line: int
    kind: str
    value: str

    def __str__(self) -> str:
        # Never the value itself: this is printed, and printed things are kept.
        return (
            f"{self.where}, line {self.line}: {self.kind}. If it is a secret, replace it where it is "
            f"used, and take it out; if not, add it to {NO_SECRETS} with the reason."
        )


def read_no_secrets(path: Path) -> dict[str, str]:
    """Read the values that are no secrets: each with the reason.

    Raises: NoReasonError when one has none.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    if entries is not None and not isinstance(entries, dict):
        raise NoReasonError(f"{path.name} is no mapping of values to reasons; write each as VALUE: REASON.")
    for number, reason in enumerate((entries or {}).values(), start=1):
        if not isinstance(reason, str) or len(reason.split()) < 2:
            raise NoReasonError(f"{path.name}: entry {number} has no reason; write why this is no secret.")
    return dict(entries or {})


def history(root: Path) -> dict[str, str]:
    """List the blobs of all commits that can be reached from any branch or tag: id to (one) path.

    Raises: HistoryError where there is no history, or a part of it only.
    """
    if _git(root, "rev-parse", "--is-inside-work-tree", check=False) != "true":
        raise HistoryError("there is no git repository here, so the history was not looked through.")
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise HistoryError(
            "this is a shallow clone, so the older history was not looked through: `git fetch --unshallow`."
        )
    blobs: dict[str, str] = {}
    for line in _git(root, "rev-list", "--all", "--objects", "--filter=object:type=blob").splitlines():
        identity, _, path = line.partition(" ")
        if path:
            blobs.setdefault(identity, path)
    return blobs


def findings(root: Path, blobs: dict[str, str]) -> Iterator[Finding]:
    """Scan the working tree, and those blobs of the history that are no longer in it."""
    # The list of what is no secret would find itself.
    names = [name for name in _working_tree(root) if name != str(NO_SECRETS)]
    known = set(KNOWN_CLEAN.read_text().split()) if KNOWN_CLEAN.exists() else set()
    current = set(_git(root, "hash-object", "--", *names).split()) if blobs else set()
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(AT_ONCE) as pool:
        jobs = [(root / name, name, "") for name in names]
        for identity, path in blobs.items():
            is_looked_at = identity in current or _key(identity, path) in known
            if not is_looked_at and path != str(NO_SECRETS):
                # The name tells the scanner which language it is.
                copy = Path(directory, identity, Path(path).name)
                copy.parent.mkdir()
                copy.write_bytes(_git_bytes(root, "cat-file", "blob", identity))
                where = f"{path} (history, blob {identity[:12]})"
                jobs.append((copy, where, _key(identity, path)))
        for (_, _, key), found in zip(jobs, pool.map(_scan, jobs, chunksize=8), strict=True):
            yield from found
            if key and not found:
                _remember(key)


def _key(identity: str, path: str) -> str:
    """A blob never changes; the end of its name decides how it is read."""
    return f"{identity}{Path(path).suffix}"


def _remember(key: str) -> None:
    KNOWN_CLEAN.parent.mkdir(parents=True, exist_ok=True)
    with KNOWN_CLEAN.open("a") as stream:
        stream.write(f"{key}\n")


def _scan(job: tuple[Path, str, str]) -> list[Finding]:
    path, where, _ = job
    with default_settings() as settings:
        # It would try on the internet whether a token that it found works.
        settings.disable_filters(VERIFICATION)
        found = [
            Finding(where, secret.line_number, secret.type, secret.secret_value or "")
            for secret in scan_file(str(path))
        ]
    return [finding for finding in found if finding.kind != "Secret Keyword" or _may_be_random(finding.value)]


def _may_be_random(value: str) -> bool:
    """Whether what stands after the word "password" (or the like) is more than words and references."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _working_tree(root: Path) -> Iterable[str]:
    try:
        return tracked_files(root)
    except subprocess.CalledProcessError:
        # No repository: a tarball. What is installed or kept there is not the project's.
        skipped = {".venv", ".cache", ".vagrant", ".ansible"}
        files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return sorted(str(path) for path in files if path.parts[0] not in skipped and path.name != ".env")


def _git_bytes(root: Path, *arguments: str, check: bool = True) -> bytes:
    return subprocess.run(
        ["git", "-c", f"safe.directory={root}", *arguments], cwd=root, capture_output=True, check=check
    ).stdout


def _git(root: Path, *arguments: str, check: bool = True) -> str:
    return _git_bytes(root, *arguments, check=check).decode("utf-8", "replace").strip()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="default: this repository")
    root = parser.parse_args(arguments).root.resolve()
    try:
        no_secrets = read_no_secrets(root / NO_SECRETS)
    except NoReasonError as error:
        print(error)
        return 1
    blobs: dict[str, str] = {}
    note = ""
    try:
        blobs = history(root)
    except HistoryError as error:
        note = f"skipped: {error}"
    found = [finding for finding in findings(root, blobs) if finding.value not in no_secrets]
    for finding in found:
        print(finding)
    if note:
        print(note)
    if found:
        return 1
    return EXIT_SKIPPED if note else 0


if __name__ == "__main__":
    sys.exit(main())
