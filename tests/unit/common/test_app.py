"""What every app does with any request: ids, problem documents, health."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from tests.library.apps import body_of

from platform_common.app import make_app
from platform_common.draining import reset_draining, start_draining
from platform_common.health import Check
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
