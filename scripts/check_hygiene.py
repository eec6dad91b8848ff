#!/usr/bin/env python3
"""Looks through the repository for what must not be in it: secrets, registries' hosts, machines' paths."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tell_problems import ROOT, tell_problems
from tracked_files import tracked_files


@dataclass(frozen=True)
class Rule:
    """What to look for, and what to do about it."""

    pattern: re.Pattern[str]
    sentence: str


# A dot is written [.], so that these lines do not find themselves.
RULES = (
    Rule(
        re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
        "a private key: take it out, and replace it where it is used",
    ),
    Rule(
        re.compile(r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abp]-[A-Za-z0-9-]{20,})\b"),
        "an access token: take it out, and withdraw it",
    ),
    Rule(
        # A value that looks random: letters and digits, long, no template and no name of something.
        re.compile(
            r"(?i:pass(?:word)?|secret|token|api_?key)[\"']?\s*[:=]\s*[\"']?"
            r"(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])[A-Za-z0-9+/_-]{20,}"
        ),
        "what looks like a secret: it belongs into .env",
    ),
    Rule(
        re.compile(
            r"\b(?:pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|deb[.]debian[.]org"
            r"|security[.]debian[.]org|ftp[.]\w+[.]debian[.]org|(?:archive|security|ports)[.]ubuntu[.]com"
            r"|galaxy[.]ansible[.]com|rubygems[.]org|proxy[.]golang[.]org|registry-1[.]docker[.]io"
            r"|hub[.]docker[.]com|ghcr[.]io|quay[.]io|gcr[.]io)\b"
            r"|(?<![\w./-])docker[.]io/\w"
        ),
        "a registry's host: name the package only, the machine's own configuration knows where it comes from",
    ),
    Rule(re.compile(r"^(?:<<<<<<< |>>>>>>> )", re.MULTILINE), "a merge conflict: finish the merge"),
)


def path_rule(root: Path) -> Rule:
    """The rule against paths of one machine: where the repository lies, and people's homes.

    `vagrant` is the user of the node, not of somebody's machine.
    """
    here = "|".join(re.escape(str(folder)) for folder in {root.resolve(), ROOT})
    return Rule(
        re.compile(rf"(?<![\w.-])(?:(?:{here})(?![\w.-])|/(?:home|Users)/(?!vagrant\b)\w|/[r]oot/)"),
        "a path of one machine: make it relative to the repository",
    )


def problems(root: Path) -> list[str]:
    """Tell what must not be in the repository, one sentence for each place."""
    found = []
    rules = (*RULES, path_rule(root))
    for name in tracked_files(root):
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for rule in rules:
            for match in rule.pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}, line {line}: {rule.sentence}.")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return tell_problems(problems, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
