from __future__ import annotations

import json
import logging
from typing import Any

import pytest

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


def test_what_cannot_be_encoded_is_a_line_too() -> None:
    line = line_of("film \ud800")
    assert line.encode().isascii()
    assert json.loads(line)["message"] == "film \ud800"
