#!/usr/bin/env python3
"""Asks the databases of advisories about what the bills of materials list: `make audit`.

    audit.py DIRECTORY     with the files that scripts/sbom.py has written

Python's packages: the services of pip-audit. Debian's packages: Debian's security tracker, through debsecan,
and only what Debian has mended: for the rest there is nothing to install.

Exit codes: 0, no package has a known vulnerability; 1, one has; 3, a database could not be asked, so that
nothing is known of its packages (and no other has a vulnerability).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import yaml

from check_vulnerabilities import IGNORED, SERVICES, ask, problems

EXIT_VULNERABLE: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNKNOWN: Final = 3


@dataclass(frozen=True, order=True)
class Package:
    """One package of a bill of materials.

    Attributes:
        kind: `pypi`, or the name of the Debian release that it is of.
        source: the Debian source package that it is built from, with its version where that is another one.
    """

    kind: str
    name: str
    version: str
    source: str = ""


def packages_of(bill: Mapping[str, Any]) -> Iterator[Package]:
    """Read the packages that a database can be asked about."""
    release = next(
        str(each["value"])
        for component in bill["components"]
        for each in component.get("properties", ())
        if each["name"] == "syft:distro:versionCodename"
    )
    for component in bill["components"]:
        address, _, query = component.get("purl", "").partition("?")
        kind = address.removeprefix("pkg:").partition("/")[0]
        if kind in {"deb", "pypi"}:
            upstream = parse_qs(query).get("upstream", [""])[0]
            yield Package(
                release if kind == "deb" else kind, component["name"], component["version"], unquote(upstream)
            )


def audit_python(packages: Mapping[Package, list[str]]) -> tuple[list[str], str]:
    """Tell which Python packages have a vulnerability, a sentence each, or why nothing is known."""
    ignored = yaml.safe_load(IGNORED.read_text(encoding="utf-8")) or {}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(
            f"{name}=={version}\n" for name, version in {(each.name, each.version) for each in packages}
        )
        file.flush()
        reasons = []
        for service in SERVICES:
            answer = ask(service, [file.name], ignored, hashes=False)
            if not isinstance(answer, str):
                skipped = [each["name"] for each in answer if "skip_reason" in each]
                return problems(answer), f"{service} does not know {', '.join(skipped)}" if skipped else ""
            reasons.append(f"{service}: {answer}")
    return [], "; ".join(reasons)


def dpkg_status(packages: Mapping[Package, list[str]]) -> str:
    """Write packages as dpkg's list of what is installed, which debsecan reads."""
    stanzas = []
    for each in packages:
        source, _, version = each.source.partition("@")
        built_from = f"Source: {source}{f' ({version})' if version else ''}\n" if source else ""
        stanzas.append(
            f"Package: {each.name}\nStatus: install ok installed\n{built_from}Version: {each.version}\n"
        )
    return "\n".join(stanzas)


def audit_debian(packages: Mapping[Package, list[str]], release: str) -> tuple[list[str], str]:
    """Tell the same of the packages of a Debian release."""
    program = shutil.which("debsecan")
    if not program:
        return [], "debsecan is not installed here (`apt-get install debsecan`)"
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(dpkg_status(packages))
        file.flush()
        options = ("--suite", release, "--status", file.name, "--only-fixed", "--format", "simple")
        done = subprocess.run([program, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        return [], f"debsecan: {' '.join(done.stderr.split())[-300:] or f'exit code {done.returncode}'}"
    names = {each.name: places for each, places in packages.items()}
    return [
        f"{package} ({', '.join(names[package])}) has {identity}, mended by Debian: `make update-base`."
        for identity, package in (line.split() for line in done.stdout.splitlines())
    ], ""


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    [directory] = arguments
    bills = {
        file.name.partition(".")[0]: json.loads(file.read_text())
        for file in sorted(Path(directory).glob("*.cdx.json"))
    }
    if not bills:
        print(f"There is no bill of materials in {directory}: run `make sbom` first.", file=sys.stderr)
        return EXIT_USAGE
    places: dict[Package, list[str]] = {}
    for name, bill in bills.items():
        for package in packages_of(bill):
            places.setdefault(package, []).append(name)
    exit_code = 0
    for kind in sorted({package.kind for package in places}):
        packages = {package: names for package, names in sorted(places.items()) if package.kind == kind}
        found, unknown = audit_python(packages) if kind == "pypi" else audit_debian(packages, kind)
        title = f"{len(packages)} packages of {'Python' if kind == 'pypi' else f'Debian {kind}'}"
        if unknown:
            print(f"{title}: NOT AUDITED, or not all. No database of advisories can be asked ({unknown}).")
            exit_code = exit_code or EXIT_UNKNOWN
        if found or not unknown:
            print("\n".join([f"{title}: {len(found)} known vulnerabilities.", *found]))
            exit_code = EXIT_VULNERABLE if found else exit_code
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
