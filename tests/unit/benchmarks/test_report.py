from __future__ import annotations

from typing import Any

import pytest
from benchmarks import report
from benchmarks.machine import BenchError, result


def figures(**parts: Any) -> dict[str, Any]:
    machine = {"cores": 2, "memory_gib": 23.5, "system": "Debian", "docker": "20.10", "load_before": 0.1}
    return {"when": "2026-01-01T00:00:00+00:00", "machine": machine, **parts}


def test_each_part_that_was_measured_has_its_line_and_no_other() -> None:
    orders = {"gateway": 1000.0, "broker": 8000.0, "ratio": 0.125}
    text = report.text(figures(orders=orders))
    line = next(each for each in text.splitlines() if each.startswith("POST /api/billing"))
    assert line.split()[-3:] == ["1,000/s", "8,000/s", "0.12"]
    assert "movies" not in text
    assert "busy" not in text


def test_a_busy_machine_is_mentioned() -> None:
    busy = figures()
    busy["machine"]["load_before"] = 1.5
    assert "busy with something else" in report.text(busy)


def test_the_figures_are_found_in_what_a_tool_prints() -> None:
    assert result('Running 2s test\nRESULT {"requests": 3, "seconds": 1.5}\n')["requests"] == 3
    with pytest.raises(BenchError, match="connection refused"):
        result("unable to connect: connection refused")
