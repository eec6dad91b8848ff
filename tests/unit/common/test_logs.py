from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import pytest
from tests.library.programs import attempt

from platform_common.logs import LINE_BYTES, LineFormatter


def line_of(message: str, *arguments: object, **fields: Any) -> str:
    record = logging.makeLogRecord(
        {"name": "test", "levelname": "INFO", "msg": message, "args": arguments, **fields}
    )
    return LineFormatter("some-app").format(record)


def test_a_line_says_when_who_how_bad_and_what() -> None:
    entry = json.loads(line_of("%s films", 3))
    assert entry.pop("time").endswith("Z")
    assert entry == {"service": "some-app", "level": "info", "logger": "test", "message": "3 films"}


@pytest.mark.parametrize("path", ["/" + "a" * 20_000, "/" + "\x00" * 5_000, "/" + "🎬" * 5_000])
def test_a_long_line_is_shortened_so_that_those_of_other_processes_do_not_get_into_it(path: str) -> None:
    line = line_of("GET %s", path, path=path)
    assert len(line.encode()) < LINE_BYTES
    entry = json.loads(line)
    assert entry["message"].startswith("GET /")
    assert entry["path"].startswith("/")
    assert entry["path"].endswith("[…]")


def test_of_a_long_traceback_the_end_stays() -> None:
    try:
        raise ValueError("x" * 10_000 + " the cause")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    entry = json.loads(line_of("failed", exc_info=info))
    assert entry["exception"].endswith(" the cause")


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "a\x85b", "a\x9bb", "\x1b[2J", "\ud800", "🎬"])
def test_nothing_that_was_sent_ends_a_line_or_steers_a_terminal(text: str) -> None:
    line = line_of("GET %s", text)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == f"GET {text}"


PRINTS = """
import threading, warnings
from platform_common.logs import configure_logging, log_what_python_would_print
configure_logging("some-app", "info")
log_what_python_would_print()
warnings.warn("a warning", RuntimeWarning)
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start(); thread.join()
class Leaves:
    def __del__(self): raise ValueError("left")
Leaves()
raise KeyError("the end")
"""


def test_what_python_itself_would_print_is_a_line_too() -> None:
    run = attempt(sys.executable, "-c", PRINTS, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert (run.returncode, run.stderr) == (1, "")
    entries = [json.loads(line) for line in run.stdout.splitlines()]
    assert [entry["level"] for entry in entries] == ["warning", "error", "error", "error"]
    for entry, words in zip(entries, ("a warning", "division by zero", "left", "the end"), strict=True):
        assert words in entry["message"] + entry.get("exception", "")
