#!/usr/bin/env python3
"""Checks that nothing is installed from the package index but exact versions with known hashes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tell_problems import tell_problems
from tracked_files import tracked_files

COMPILED = re.compile(r"(?:^|/)requirements(?:/[^/]+|[^/]*)\.txt$")
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]+\])?==[^\s;,*]+(?:\s|;|$)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?:\s|$)")
INSTALLS = re.compile(r"\bpip3?\b[^|&;]*\binstall\b[^|&;]*")


def problems(root: Path) -> list[str]:
    """Tell what is not pinned, one sentence each."""
    found = []
    for name in tracked_files(root):
        if COMPILED.search(name):
            found += _problems_of_requirements(name, (root / name).read_text(encoding="utf-8"))
        elif Path(name).name.split(".")[0] == "Dockerfile":
            found += _problems_of_dockerfile(name, (root / name).read_text(encoding="utf-8"))
    return found


def _problems_of_requirements(name: str, text: str) -> list[str]:
    found = []
    for line in _logical_lines(text):
        requirement = line.split(" --hash=")[0].strip()
        if line.startswith("-"):
            found.append(f"{name}: {line.split()[0]} brings in what is not listed here; take the line out.")
        elif not PIN.match(line):
            found.append(f"{name}: {requirement} is no exact version; write it anew with `make lock`.")
        elif not HASH.search(line):
            found.append(f"{name}: {requirement} has no sha256 hash; write it anew with `make lock`.")
    return found


def _problems_of_dockerfile(name: str, text: str) -> list[str]:
    return [
        f"{name}: `{' '.join(command[0].split())}` takes what it gets; add --require-hashes."
        for line in _logical_lines(text)
        for command in INSTALLS.finditer(line)
        if "--require-hashes" not in command[0]
    ]


def _logical_lines(text: str) -> list[str]:
    """Join what a backslash continues; leave out comments and empty lines."""
    whole = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n", " ", whole).splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return tell_problems(problems, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
