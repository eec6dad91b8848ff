"""An order that got its 200 is stored exactly once, whatever breaks. See docs/faults.md."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from tests.faults.platform_under_test import Platform
from tests.faults.schedule import long_schedule, short_schedule
from tests.faults.suite import Suite, until
from tests.library.settings import PATIENCE

MINUTES = float(os.environ.get("FAULTS_MINUTES") or 0)
"""How long to break things; without it, the short form."""


@pytest.mark.recovery
@pytest.mark.timeout((MINUTES * 60 + 1800) * PATIENCE)
def test_every_order_that_was_accepted_is_stored_exactly_once_whatever_breaks(
    platform: Platform, say: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    again = f"make test-faults SEED={seed} MINUTES={MINUTES:g}"
    say(f"seed {seed}, {f'{MINUTES:g} minutes' if MINUTES else 'short form'}")
    steps = until(MINUTES * 60, long_schedule(seed)) if MINUTES else short_schedule(seed)
    verdict = Suite(platform, seed=seed, again=again, say=say).run(steps)
    assert not verdict.findings, "\n".join([*verdict.lines(), again])
    assert verdict.figures["accepted"] > 0
