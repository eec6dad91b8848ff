"""Molecule leaves out steps without an error; these are not left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

SCENARIOS = sorted((Path(__file__).parents[3] / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.parent.name)
def test_side_effects_are_not_left_out(file: Path) -> None:
    scenario = yaml.safe_load(file.read_text())
    steps = [step.split() for step in scenario["scenario"]["test_sequence"]]
    side_effects = [name for step, *names in steps if step == "side_effect" for name in names]
    if side_effects:
        playbooks = [scenario["provisioner"]["playbooks"]["side_effect"], *side_effects]
        assert [name for name in playbooks if not (file.parent / name).is_file()] == []
