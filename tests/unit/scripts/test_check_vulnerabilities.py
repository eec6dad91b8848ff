from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from check_vulnerabilities import EXIT_SKIPPED, AuditError, judge, lines, read_ignored

ROOT = Path(__file__).resolve().parents[3]


def package(name: str, *vulnerabilities: str) -> dict[str, Any]:
    """A package in pip-audit's report; a fix exists for each vulnerability."""
    found = [
        {"id": identity, "aliases": [f"CVE-{identity}"], "fix_versions": ["2.0"]}
        for identity in vulnerabilities
    ]
    return {"name": name, "version": "1.0", "vulns": found}


def unknown(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": "not found"}


def report(*packages: dict[str, Any]) -> dict[str, Any]:
    return {"requirements.txt": {"dependencies": list(packages), "fixes": []}}


def test_packages_without_vulnerabilities_are_fine() -> None:
    assert list(lines(judge(report(package("flask"), package("pika")), {}))) == []


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    [sentence] = judge(report(package("flask", "PYSEC-1"), package("pika")), {}).vulnerabilities
    assert "flask 1.0 has PYSEC-1 (fixed in 2.0)" in sentence


@pytest.mark.parametrize("identity", ["PYSEC-1", "CVE-PYSEC-1"])
def test_one_that_is_ignored_with_a_reason_does_not_count(identity: str) -> None:
    reports = report(package("flask", "PYSEC-1", "PYSEC-2"))
    [sentence] = judge(reports, {identity: "we never call that"}).vulnerabilities
    assert "PYSEC-2" in sentence


def test_a_service_that_knows_nothing_is_told_from_one_that_finds_nothing() -> None:
    assert judge(report(unknown("flask"), unknown("pika")), {}).known == 0
    result = judge(report(package("flask"), unknown("pika")), {})
    assert result.known == 1
    assert list(lines(result)) == ["1 packages are unknown to the service: pika."]


@pytest.mark.parametrize("content", ["PYSEC-1:\n", "PYSEC-1: ''\n", "PYSEC-1: because\n", "- PYSEC-1\n"])
def test_a_vulnerability_is_not_ignored_without_a_reason(tmp_path: Path, content: str) -> None:
    (tmp_path / "ignored.yml").write_text(content)
    with pytest.raises(AuditError):
        read_ignored(tmp_path / "ignored.yml")


def test_reasons_are_read(tmp_path: Path) -> None:
    (tmp_path / "ignored.yml").write_text("PYSEC-1: we never call that\n")
    assert read_ignored(tmp_path / "ignored.yml") == {"PYSEC-1": "we never call that"}
    assert read_ignored(tmp_path / "missing.yml") == {}


def test_a_service_that_cannot_be_reached_is_said_to_be_skipped(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "requirements.txt").write_text("flask==3.1.0 --hash=sha256:" + "0a" * 32 + "\n")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "check_vulnerabilities.py", tmp_path],
        # Nobody listens there.
        env=os.environ
        | {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_SKIPPED, done.stdout + done.stderr
    assert done.stdout.startswith("skipped: the advisory service cannot be reached (")
