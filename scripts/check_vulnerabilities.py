#!/usr/bin/env python3
"""Asks an advisory service whether a locked Python package has a known vulnerability (pip-audit).

Exit code 75 (EX_TEMPFAIL of sysexits.h): nothing could be said, because no service answers usefully.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from check_pins import COMPILED
from tracked_files import tracked_files

ROOT = Path(__file__).resolve().parent.parent
IGNORED = Path("requirements/ignored-vulnerabilities.yml")
SERVICES = ("pypi", "osv")
TIMEOUT_SECONDS = 10
EXIT_SKIPPED = 75


class AuditError(Exception):
    """No service can be asked, or the list of ignored vulnerabilities is wrong; the text is a sentence."""


@dataclass(frozen=True)
class Audit:
    """What a service says about all locked packages.

    Attributes:
        known: how many packages the service knows.
        unknown: the packages that it does not know.
        vulnerabilities: one sentence for each that is not ignored.
    """

    known: int
    unknown: tuple[str, ...]
    vulnerabilities: tuple[str, ...]


def read_ignored(path: Path) -> dict[str, str]:
    """Read the vulnerabilities that do not count here: each id with the reason.

    Raises: AuditError when an entry has no reason.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    if not isinstance(entries or {}, dict):
        raise AuditError(f"{path.name} is no mapping of ids to reasons; write each as ID: REASON.")
    ignored = dict(entries or {})
    for identity, reason in ignored.items():
        if not isinstance(reason, str) or len(reason.split()) < 3:
            raise AuditError(f"{path.name}: {identity} has no reason; write why it does not matter here.")
    return ignored


def judge(reports: Mapping[str, Any], ignored: Mapping[str, str]) -> Audit:
    """Sum up pip-audit's reports in JSON, by the name of the file that each is about."""
    known, unknown, sentences = set(), set(), []
    for name, report in reports.items():
        for package in report["dependencies"]:
            if "skip_reason" in package:
                unknown.add(package["name"])
                continue
            known.add(package["name"])
            for vulnerability in package["vulns"]:
                identities = {vulnerability["id"], *vulnerability.get("aliases", ())}
                if not identities & ignored.keys():
                    fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
                    sentences.append(
                        f"{name}: {package['name']} {package['version']} has {vulnerability['id']} "
                        f"(fixed in {fixed}); take a fixed version and `make lock`, or write into {IGNORED} "
                        "why it does not matter here."
                    )
    return Audit(len(known), tuple(sorted(unknown)), tuple(dict.fromkeys(sentences)))


def audit(root: Path, ignored: Mapping[str, str]) -> Audit:
    """Ask the services, one after the other, until one knows any of the packages.

    Raises: AuditError when none does.
    """
    names = [name for name in tracked_files(root) if COMPILED.search(name)]
    reasons = []
    for service in SERVICES:
        try:
            result = judge({name: _ask(service, root / name) for name in names}, ignored)
        except AuditError as error:
            reasons.append(f"{service}: {error}")
            continue
        if result.known:
            return result
        reasons.append(f"{service}: it knows none of {len(result.unknown)} packages")
    raise AuditError(f"the advisory service cannot be reached ({'; '.join(reasons)}).")


def _ask(service: str, requirements: Path) -> Any:
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service]
    command += ["--timeout", str(TIMEOUT_SECONDS), "--progress-spinner", "off", "--format", "json"]
    command += ["--cache-dir", str(ROOT / ".cache" / "pip-audit"), "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False
    )
    try:
        # It exits with 1 for vulnerabilities and for failures alike; only the former come with a report.
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AuditError(last.partition(" (Caused by")[0][:200]) from None


def lines(result: Audit) -> Iterator[str]:
    """What is told about an audit."""
    yield from result.vulnerabilities
    if result.unknown:
        yield f"{len(result.unknown)} packages are unknown to the service: {', '.join(result.unknown)}."


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="default: this repository")
    root = parser.parse_args(arguments).root
    try:
        ignored = read_ignored(root / IGNORED)
    except AuditError as error:
        print(error)
        return 1
    try:
        result = audit(root, ignored)
    except AuditError as error:
        print(f"skipped: {error}")
        return EXIT_SKIPPED
    for line in lines(result):
        print(line)
    return 1 if result.vulnerabilities else 0


if __name__ == "__main__":
    sys.exit(main())
