"""The filter that makes the reason of a failed build readable."""

from __future__ import annotations

from plugin_loader import load_plugin

build_log = load_plugin("roles/container/filter_plugins/build_log.py").build_log


def test_the_last_lines_of_a_build_follow_its_reason() -> None:
    error = ["\x1b[91mE\x1b[0m", "\x1b[91m: \x1b[0m", '\x1b[91mit\'s "gone"\x1b[0m', "\x1b[91m", "\x1b[0m"]
    lines = [*(f"line {number}" for number in range(30)), "", *error]
    told = build_log(f"Error building x - code: 100, message: it returned 100, logs: {lines}")
    assert told.splitlines() == [
        "Error building x - code: 100, message: it returned 100",
        *(f"line {number}" for number in range(11, 30)),
        'E: it\'s "gone"',
    ]


def test_another_message_is_left_alone() -> None:
    for message in ("no space left on device", "x, logs: [cut off", "x, logs: 3"):
        assert build_log(message) == message
