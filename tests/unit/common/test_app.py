"""What every app does with any request: ids, problem documents, health."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from helpers import body_of

from platform_common.app import make_app
from platform_common.draining import reset_draining, start_draining
from platform_common.health import Check
from platform_common.logs import LineFormatter
from platform_common.problems import Problem
from platform_common.settings import BaseSettings
from platform_common.validation import read_json_object

SETTINGS = BaseSettings("test", 8080, 9090, 1, 4, "info", candidate=False, drain_seconds=0)


def app_with(checks: Mapping[str, Check] | None = None, **options: Any) -> Flask:
    app = make_app(__name__, settings=SETTINGS, checks=checks or {}, **options)

    @app.post("/echo")
    def echo() -> Response:
        return jsonify({name: str(value) for name, value in read_json_object(request).items()})

    @app.get("/crash")
    def crash() -> Response:
        raise RuntimeError("a secret detail")

    @app.get("/busy")
    def busy() -> Response:
        raise Problem(503, "Busy", "Come again.", headers={"Retry-After": "7"}, hint="é")

    return app


@pytest.fixture
def undrained() -> Iterator[None]:
    yield
    reset_draining()


@pytest.mark.parametrize("given", ["abc", "x" * 128, "with space", "!~"])
def test_a_fit_request_id_comes_back(given: str) -> None:
    answer = app_with().test_client().get("/health/live", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "é", "a\tb", "   "])
def test_an_unfit_request_id_is_replaced(given: str) -> None:
    answer = app_with().test_client().get("/health/live", headers={"X-Request-ID": given})
    assert str(uuid.UUID(answer.headers["X-Request-ID"])) == answer.headers["X-Request-ID"]


def test_each_request_without_an_id_gets_its_own() -> None:
    client = app_with().test_client()
    assert len({client.get("/health/live").headers["X-Request-ID"] for _ in range(5)}) == 5


def test_an_unexpected_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    answer = app_with().test_client().get("/crash", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert body_of(answer)["request_id"] == "r-1"
    assert "secret detail" not in answer.text
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "a secret detail" in str(record.exc_info[1])


def test_a_problem_is_answered_with_its_headers_and_members() -> None:
    answer = app_with().test_client().get("/busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert body_of(answer) == {
        "type": "about:blank",
        "title": "Busy",
        "status": 503,
        "detail": "Come again.",
        "instance": "/busy",
        "request_id": answer.headers["X-Request-ID"],
        "hint": "é",
    }


def test_a_wrong_method_is_told_the_right_ones() -> None:
    answer = app_with().test_client().delete("/echo")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x-unheard-of"])
def test_a_body_that_is_declared_as_compressed_is_refused_with_the_reason(coding: str) -> None:
    answer = app_with().test_client().post("/echo", json={}, headers={"Content-Encoding": coding})
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"
    assert body_of(answer)["detail"] == f"Send the body as plain JSON, without Content-Encoding: {coding}."


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_the_coding_that_is_none_is_taken(coding: str) -> None:
    answer = app_with().test_client().post("/echo", json={}, headers={"Content-Encoding": coding})
    assert answer.status_code == 200


def test_a_compressed_body_without_a_word_about_it_is_told_what_it_is() -> None:
    body = gzip.compress(b"{}")
    answer = app_with().test_client().post("/echo", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert body_of(answer)["detail"] == "The body is compressed with gzip. Send plain JSON."


def test_a_body_over_the_limit_is_refused() -> None:
    body = b'{"x": "' + b"y" * 2**17 + b'"}'
    answer = app_with().test_client().post("/echo", data=body, content_type="application/json")
    assert answer.status_code == 413
    assert "131,072" in body_of(answer)["detail"]


def test_the_largest_body_that_fits_is_taken() -> None:
    frame = len(b'{"x":""}')
    body = b'{"x":"' + b"y" * (2**17 - frame) + b'"}'
    assert (
        app_with().test_client().post("/echo", data=body, content_type="application/json").status_code == 200
    )


def test_numbers_are_read_exactly() -> None:
    answer = (
        app_with().test_client().post("/echo", data=b'{"x": 0.10, "y": 1e2}', content_type="application/json")
    )
    assert body_of(answer) == {"x": "0.10", "y": "1E+2"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a": {"b": ["x", "\\u0000"]}}', "a.b.1"),
        (b'{"a": {"\\ud800": 1}}', "a.\\ud800"),
        (b'{"\\u0000": 1}', "\\x00"),
        (b'{"a": {"b": 1, "b": 2}}', "b"),
    ],
)
def test_bad_text_is_found_wherever_it_is(body: bytes, field: str) -> None:
    answer = app_with().test_client().post("/echo", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert body_of(answer)["errors"][0]["field"] == field


def test_readiness_is_the_verdict_over_all_dependencies() -> None:
    checks: dict[str, Check] = {"a": lambda: {"status": "up", "depth": 3}, "b": lambda: {"status": "down"}}
    answer = app_with(checks).test_client().get("/health/ready")
    assert answer.status_code == 503
    assert body_of(answer) == {
        "status": "unready",
        "dependencies": {"a": {"status": "up", "depth": 3}, "b": {"status": "down"}},
    }
    answer = app_with(checks, verdict=lambda _: "degraded").test_client().get("/health/ready")
    assert (answer.status_code, body_of(answer)["status"]) == (200, "degraded")
    del checks["b"]
    assert app_with(checks).test_client().get("/health/ready/").status_code == 200


def test_a_check_that_raises_is_down_and_shows_no_detail() -> None:
    def check() -> Mapping[str, Any]:
        raise ConnectionError("password=…")

    answer = app_with({"a": check}).test_client().get("/health/ready")
    assert answer.status_code == 503
    assert body_of(answer)["dependencies"]["a"] == {"status": "down", "reason": "ConnectionError"}


def test_a_check_that_hangs_is_down_in_time_and_is_not_started_again() -> None:
    release = threading.Event()
    runs = []

    def check() -> Mapping[str, Any]:
        runs.append(1)
        release.wait(30)
        return {"status": "up"}

    client = app_with({"a": check}, check_seconds=0.3).test_client()
    try:
        started = time.monotonic()
        assert client.get("/health/ready").status_code == 503
        assert time.monotonic() - started < 2
        assert client.get("/health/ready").status_code == 503
        assert len(runs) == 1
    finally:
        release.set()


@pytest.mark.usefixtures("undrained")
def test_a_draining_app_is_live_not_ready_and_closes_connections() -> None:
    client = app_with().test_client()
    assert client.get("/health/ready").status_code == 200
    start_draining()
    ready = client.get("/health/ready")
    assert (ready.status_code, body_of(ready)["status"]) == (503, "draining")
    live = client.get("/health/live")
    assert live.status_code == 200
    assert live.headers["Connection"] == "close"


def test_a_log_line_is_one_json_object_with_the_traceback_in_one_field() -> None:
    formatter = LineFormatter("s")
    try:
        raise ValueError("línea\nzwei")
    except ValueError as error:
        record = logging.LogRecord(
            "name", logging.ERROR, "f", 1, "it %s", ("broke",), (ValueError, error, None)
        )
    line = formatter.format(record)
    assert "\n" not in line
    document = json.loads(line)
    assert (document["service"], document["level"], document["message"]) == ("s", "error", "it broke")
    assert "línea" in document["exception"]
    assert document["time"].endswith("Z")
