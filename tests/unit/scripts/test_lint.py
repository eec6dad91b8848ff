from __future__ import annotations

from collections.abc import Iterator

import pytest

import lint


def python(name: str, code: str) -> lint.Check:
    return lint.Check(name, ("python", "-c", code))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[lint.Check]:
    """The checks that there are: what a test puts in."""
    listed: list[lint.Check] = []

    def every() -> Iterator[lint.Check]:
        yield from listed

    monkeypatch.setattr(lint, "checks", every)
    return listed


def test_what_passes_prints_nothing_but_its_name(
    checks: list[lint.Check], capsys: pytest.CaptureFixture[str]
) -> None:
    checks.append(python("good", "print('chatter')"))
    assert lint.main([]) == 0
    output = capsys.readouterr().out
    assert "ok    good" in output
    assert "chatter" not in output
    assert output.endswith("All 1 checks passed.\n")


def test_what_could_not_be_checked_is_said_and_is_no_failure(
    checks: list[lint.Check], capsys: pytest.CaptureFixture[str]
) -> None:
    checks.append(python("good", ""))
    checks.append(python("far", "import sys; print('skipped: nobody answers.'); sys.exit(75)"))
    assert lint.main([]) == 0
    output = capsys.readouterr().out
    assert "skip  far" in output
    assert "skipped: nobody answers." in output
    assert output.endswith("1 checks passed; skipped: far.\n")


def test_one_that_fails_fails_all_and_shows_why(
    checks: list[lint.Check], capsys: pytest.CaptureFixture[str]
) -> None:
    checks.append(python("bad", "import sys; print('the reason'); sys.exit(1)"))
    checks.append(python("far", "import sys; sys.exit(75)"))
    assert lint.main([]) == 1
    output = capsys.readouterr().out
    assert "FAIL  bad" in output
    assert "the reason" in output
    assert "1 of 2 checks failed: bad." in output
