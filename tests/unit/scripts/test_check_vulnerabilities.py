from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import check_vulnerabilities


def package(name: str, *vulnerabilities: str) -> dict[str, Any]:
    found = [{"id": identity, "fix_versions": ["2.0"]} for identity in vulnerabilities]
    return {"name": name, "version": "1.0", "vulns": found}


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    [sentence] = check_vulnerabilities.problems([package("flask", "PYSEC-1"), package("pika")])
    assert "flask 1.0 has PYSEC-1 (fixed in 2.0)" in sentence


@pytest.mark.parametrize("content", ["PYSEC-1:\n", "PYSEC-1: ''\n", "PYSEC-1: because\n", "- PYSEC-1\n"])
def test_a_vulnerability_is_not_ignored_without_a_reason(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ignored.yml").write_text(content)
    monkeypatch.setattr(check_vulnerabilities, "IGNORED", tmp_path / "ignored.yml")
    assert check_vulnerabilities.main([]) == 1


def test_a_service_that_cannot_be_reached_is_said_to_be_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("flask==3.1.0 --hash=sha256:" + "0a" * 32 + "\n")
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "")
    assert check_vulnerabilities.main([str(tmp_path / "requirements.txt")]) == 0
    assert capsys.readouterr().out.startswith("skipped: no advisory service can be reached (")
