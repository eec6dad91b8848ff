#!/usr/bin/env python3
"""Asks an advisory service whether a locked package has a known vulnerability (pip-audit).

    check_vulnerabilities.py REQUIREMENTS.txt…

pip-audit passes where it learns nothing about any package. Here that is said: "skipped".
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
IGNORED = ROOT / "requirements" / "ignored-vulnerabilities.yml"
SERVICES = ("pypi", "osv")


def ask(
    service: str, files: Iterable[str], ignored: Iterable[str], *, hashes: bool = True
) -> list[dict[str, Any]] | str:
    """Give what a service says of each package, or why it says nothing.

    Args:
        service: one of SERVICES.
        files: lists of packages with exact versions.
        ignored: ids of vulnerabilities that do not matter here.
        hashes: whether the lists have the hash of each package.
    """
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--timeout", "10"]
    command += ["--progress-spinner", "off", "--format", "json", "--disable-pip"]
    command += ["--require-hashes" if hashes else "--no-deps"]
    command += ["--cache-dir", str(ROOT / ".cache" / "pip-audit")]
    command += [word for file in files for word in ("--requirement", file)]
    command += [word for identity in ignored for word in ("--ignore-vuln", identity)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        # It exits with 1 for vulnerabilities and for failures alike; only the former come with a report.
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return last.partition(" (Caused by")[0][:200]
    if all("skip_reason" in package for package in packages):
        return f"it knows none of {len(packages)} packages"
    return packages


def problems(packages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Tell which packages have a vulnerability, one sentence each."""
    return [
        f"{package['name']} {package['version']} has {found['id']} "
        f"(fixed in {', '.join(found['fix_versions']) or 'no version yet'}); take a fixed version and "
        f"`make lock`, or write into requirements/{IGNORED.name} why it does not matter here."
        for package in packages
        for found in package.get("vulns", ())
    ]


def main(files: list[str]) -> int:
    """Run the command line; returns the exit code: 0 too where nothing could be asked."""
    ignored = yaml.safe_load(IGNORED.read_text(encoding="utf-8")) or {}
    if not isinstance(ignored, dict) or not all(len(str(why or "").split()) > 2 for why in ignored.values()):
        print(f"{IGNORED.name}: write each entry as ID: the reason why it does not matter here.")
        return 1
    reasons = []
    for service in SERVICES:
        answer = ask(service, files, ignored)
        if not isinstance(answer, str):
            found = problems(answer)
            unknown = sorted(package["name"] for package in answer if "skip_reason" in package)
            print("\n".join(found + ([f"unknown to the service: {', '.join(unknown)}"] if unknown else [])))
            return 1 if found else 0
        reasons.append(f"{service}: {answer}")
    print(f"skipped: no advisory service can be reached ({'; '.join(reasons)}).")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
