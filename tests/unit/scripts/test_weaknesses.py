"""The weaknesses that the fault suite must find (docs/faults.md) still fit the sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.programs import attempt

ROOT = Path(__file__).parents[3]
WEAKNESSES = sorted((ROOT / "tests" / "faults_proof" / "weaknesses").glob("*.patch"))


@pytest.mark.parametrize("weakness", WEAKNESSES, ids=lambda path: path.stem)
def test_a_weakness_can_be_built_in(weakness: Path) -> None:
    check = attempt("git", "apply", "--check", weakness, cwd=ROOT)
    assert check.returncode == 0, check.stderr
