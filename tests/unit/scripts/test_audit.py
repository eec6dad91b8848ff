"""What bills of materials are asked about (scripts/audit.py), and that silence is no answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import audit
from audit import Package

BILL = {
    "components": [
        {
            "name": "libssl3",
            "version": "3.0.22-1",
            "purl": "pkg:deb/debian/libssl3@3.0.22-1?arch=amd64&upstream=openssl",
        },
        {
            "name": "bash",
            "version": "5.2.15-2+b13",
            "purl": "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&upstream=bash%405.2.15-2",
        },
        {"name": "hello", "version": "2.10-3", "purl": "pkg:deb/debian/hello@2.10-3?arch=amd64"},
        {"name": "flask", "version": "3.1.3", "purl": "pkg:pypi/flask@3.1.3"},
        {"name": "community.docker", "version": "4.8.5", "purl": "pkg:generic/community.docker@4.8.5"},
        {"name": "debian", "properties": [{"name": "syft:distro:versionCodename", "value": "bookworm"}]},
    ]
}


def test_packages_of_debian_and_of_python_are_asked_about() -> None:
    assert list(audit.packages_of(BILL)) == [
        Package("bookworm", "libssl3", "3.0.22-1", "openssl"),
        Package("bookworm", "bash", "5.2.15-2+b13", "bash@5.2.15-2"),
        Package("bookworm", "hello", "2.10-3"),
        Package("pypi", "flask", "3.1.3"),
    ]


def test_debsecan_is_told_of_which_source_a_package_is() -> None:
    packages = {package: ["base"] for package in audit.packages_of(BILL) if package.kind == "bookworm"}
    stanzas = audit.dpkg_status(packages).split("\n\n")
    assert "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.22-1" in stanzas[0]
    assert "Source: bash (5.2.15-2)\nVersion: 5.2.15-2+b13" in stanzas[1]
    assert "Source:" not in stanzas[2]


def test_where_no_database_can_be_asked_that_is_said_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inventory-app.cdx.json").write_text(json.dumps(BILL))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "")
    assert audit.main([str(tmp_path)]) == audit.EXIT_UNKNOWN
    debian, python = capsys.readouterr().out.splitlines()
    assert debian.startswith("3 packages of Debian bookworm: NOT AUDITED")
    assert "debsecan" in debian
    assert python.startswith("1 packages of Python: NOT AUDITED")


def test_without_a_bill_of_materials_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([str(tmp_path)]) == audit.EXIT_USAGE
    assert "run `make sbom` first" in capsys.readouterr().err
