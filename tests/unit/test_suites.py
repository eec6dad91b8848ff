"""How suites of tests are run one after another (scripts/suites.py)."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import suites
from make_options import options_of_targets
from suites import ALL, CHOICES, SHORT, Progress, Result, Suite

FAILS = Suite("fails", (sys.executable, "-c", "print('the reason'); raise SystemExit(3)"), 1)
PASSES = Suite("passes", (sys.executable, "-c", "print('nothing to see')"), 1)


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs of the test's own."""
    monkeypatch.setattr(suites, "ROOT", tmp_path)
    monkeypatch.setattr(suites, "LOGS", tmp_path / "logs")
    return tmp_path / "logs"


def test_after_a_failure_the_others_run_and_the_table_and_the_exit_code_say_so(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suites, "is_calm", lambda: True)
    monkeypatch.setitem(CHOICES, "these", (PASSES, FAILS, PASSES))
    assert suites.main(["these"]) == 1
    output = capsys.readouterr().out
    lines = [line.split()[:2] for line in output[output.index("suite ") :].splitlines()]
    assert lines[1:4] == [["passes", "ok"], ["fails", "FAILED"], ["passes", "ok"]]
    assert "    the reason" in output, "what failed says why"
    assert "nothing to see" not in output, "what passed is calm"
    assert (logs / "passes.log").read_text() == "nothing to see\n"


def test_where_nobody_looks_on_all_of_the_output_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHOICES, "these", (PASSES, FAILS))
    assert suites.main(["these"]) == 1
    output = capsys.readouterr().out
    assert output.count("nothing to see") == output.count("the reason") == 1


def test_when_all_have_passed_the_exit_code_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHOICES, "these", (PASSES,))
    assert suites.main(["these"]) == 0


def test_an_unknown_choice_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert suites.main(["some"]) == suites.EXIT_USAGE
    assert "short or all" in capsys.readouterr().err


def test_a_line_says_which_step_of_molecule_runs_and_how_far_its_tests_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Suite, "steps", lambda _: ["create", "verify contract"])
    stream = io.StringIO()
    progress = Progress("1/2", SHORT[-1], stream)
    progress.read("\x1b[34mINFO    \x1b[0m [default > create] Executing\n")
    assert "step 1 of 2: create" in progress.text()
    progress.read("INFO     default ➜ verify: Executing\n")
    progress.read("INFO     default ➜ verify: Executing Testinfra tests found in /tests/...\n")
    progress.read("........s....                                                            [ 43%]\n")
    assert progress.text().endswith("step 2 of 2: verify contract, 43 %")
    progress.end(Result(SHORT[-1], passed=True, seconds=90))
    [line] = stream.getvalue().splitlines()
    assert line.split() == ["1/2", "platform", "ok", "1.5", "min"]


@pytest.mark.parametrize("suite", dict.fromkeys([*SHORT, *ALL]), ids=lambda suite: suite.name)
def test_each_suite_is_a_target_of_the_makefile_that_takes_its_options(suite: Suite) -> None:
    program, target, *options = suite.command
    assert program == "make"
    assert {option.partition("=")[0] for option in options} <= set(options_of_targets()[target])


def test_all_suites_are_those_of_every_target_whose_name_begins_with_test() -> None:
    targets = {target for target in options_of_targets() if target.startswith("test-")}
    # One is in the long form of the platform's tests; a virtual machine takes hours where it is emulated.
    assert targets - {suite.command[1] for suite in ALL} == {"test-all", "test-vm"}
