from __future__ import annotations

from typing import Any

import pytest
from benchmarks import report
from benchmarks.machine import BenchError, result


def figures(**parts: Any) -> dict[str, Any]:
    machine = {"cores": 2, "memory_gib": 23.5, "system": "Debian", "docker": "20.10", "load_before": 0.1}
    return {"when": "2026-01-01T00:00:00+00:00", "machine": machine, **parts}


def requests(ratio: float) -> dict[str, Any]:
    ways = {
        "gateway": {"rate": 1000.0, "p50_ms": 10.0, "p99_ms": 50.0},
        "nginx": {"rate": 1250.0, "ratio": ratio},
    }
    return {"list": ways}


def test_each_part_that_was_measured_has_its_lines_and_no_other() -> None:
    text = report.text(figures(requests=requests(0.8)))
    lines = [line.split() for line in text.splitlines()]
    assert ["gateway", "1,000/s", "10.0", "ms", "50.0", "ms"] in lines
    assert ["nginx", "1,250/s", "0.80"] in lines
    assert "backlog" not in text
    assert "busy" not in text


def test_a_busy_machine_is_mentioned() -> None:
    busy = figures()
    busy["machine"]["load_before"] = 1.5
    assert "busy with something else" in report.text(busy)


def test_a_ratio_that_fell_by_more_than_a_fifth_is_told() -> None:
    before = figures(requests=requests(1.0))
    assert list(report.fallen(before, figures(requests=requests(0.81)))) == []
    [told] = report.fallen(before, figures(requests=requests(0.79)))
    assert told == "SLOWER: list, beside nginx: 0.79 where benchmarks/results.json has 1.00."


def test_what_was_not_measured_before_has_not_fallen() -> None:
    assert list(report.fallen({}, figures(requests=requests(0.1)))) == []


def test_the_figures_are_found_in_what_a_tool_prints() -> None:
    assert result('Running 2s test\nRESULT {"requests": 3, "seconds": 1.5}\n')["requests"] == 3
    with pytest.raises(BenchError, match="connection refused"):
        result("unable to connect: connection refused")
