"""The part of the time that a backup works."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from platform_backup import create
from platform_backup.pace import WORK_SECONDS, Pace
from platform_backup.settings import Settings


class Clock:
    """A clock that only work and rest move forward."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rested = 0.0

    def read(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        self.rested += seconds
        self.now += seconds


@pytest.mark.parametrize(("percent", "step"), [(20, 0.01), (50, 0.3), (20, 7.0), (1, 0.1), (99, 0.2)])
def test_only_a_part_of_the_time_is_work(percent: int, step: float) -> None:
    clock = Clock()
    pace = Pace(percent, clock.read, clock.rest)
    worked = 0.0
    for _ in range(2000):
        clock.now += step
        worked += step
        pace.rest_when_due()
    # What was worked since the last rest is not made up for yet.
    assert worked / (worked + clock.rested) == pytest.approx(percent / 100, rel=0.1)


def test_short_work_and_work_at_full_speed_rest_never() -> None:
    clock = Clock()
    pace = Pace(20, clock.read, clock.rest)
    clock.now += WORK_SECONDS * 0.9
    pace.rest_when_due()
    assert clock.rested == 0
    pace = Pace(100, clock.read, clock.rest)
    for _ in range(100):
        clock.now += 1
        pace.rest_when_due()
    assert clock.rested == 0


def test_what_writes_a_backup_rests_after_each_piece_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[int] = []

    class Recorded(Pace):
        def __init__(self, work_percent: int) -> None:
            super().__init__(work_percent)
            self.work_percent = work_percent

        def rest_when_due(self) -> None:
            rests.append(self.work_percent)

    monkeypatch.setattr(create, "Pace", Recorded)
    settings = Settings(tmp_path, (), "broker", "queue", "dead", "gateway", 7, 7, "", 0, 60, 30)
    writer = create._Writer(tmp_path, settings, lambda _: None)
    stored = writer._write("a.dump", io.BytesIO(bytes(3 << 20)))
    assert stored.bytes == 3 << 20
    assert (tmp_path / "a.dump").stat().st_size == 3 << 20
    assert rests == [30, 30, 30]
