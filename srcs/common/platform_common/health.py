"""Health: /health/live says that the process works, /health/ready that the app can do its work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

from flask import Blueprint, Response, jsonify

from platform_common.draining import is_draining

Check = Callable[[], Mapping[str, Any]]
Verdict = Callable[[Mapping[str, Mapping[str, Any]]], str]

CHECK_SECONDS: Final = 2.5
# For an app whose dependencies have such checks themselves: they get to give their reason.
OUTER_CHECK_SECONDS: Final = 3.2
NO_CONNECTION: Final = "it is down, refuses the login, or cannot be reached over the network"
"""The reason that a check gives where its dependency cannot be connected to."""
_logger = logging.getLogger(__name__)


def all_up(dependencies: Mapping[str, Mapping[str, Any]]) -> str:
    """The verdict of an app that needs everything: ready if each dependency is up."""
    return "ready" if all(check["status"] == "up" for check in dependencies.values()) else "unready"


def make_health_blueprint(
    checks: Mapping[str, Check], verdict: Verdict | None = None, *, check_seconds: float = CHECK_SECONDS
) -> Blueprint:
    """Return the routes /health/live and /health/ready.

    Args:
        checks: each dependency's name and its check, which returns {"status": "up" | "down", …}.
            A check that raises, or takes longer than `check_seconds`, counts as down.
        verdict: makes "ready", "degraded" or "unready" of all results; the default is `all_up`.
        check_seconds: how long the answer waits for the checks.

    /health/ready answers 200 for ready and degraded, 503 for unready, and 503 with the status
    "draining" once the app has been told to stop.
    """
    blueprint = Blueprint("health", __name__, url_prefix="/health")
    bounded = {name: _BoundedCheck(name, check) for name, check in checks.items()}
    decide = verdict or all_up

    @blueprint.get("/live")
    def live() -> Response:
        return _answer({"status": "live"}, 200)

    @blueprint.get("/ready")
    def ready() -> Response:
        if is_draining():
            return _answer({"status": "draining", "dependencies": {}}, 503)
        running = {name: check.start() for name, check in bounded.items()}
        wait(running.values(), timeout=check_seconds)
        dependencies = {name: _outcome(name, future, check_seconds) for name, future in running.items()}
        status = decide(dependencies)
        return _answer(
            {"status": status, "dependencies": dependencies}, 200 if status in {"ready", "degraded"} else 503
        )

    return blueprint


class _BoundedCheck:
    """Runs a check in a thread of its own, and never twice at once: callers share a running one."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._lock = threading.Lock()
        self._running: Future[Mapping[str, Any]] | None = None

    def start(self) -> Future[Mapping[str, Any]]:
        with self._lock:
            if self._running is None or self._running.done():
                future: Future[Mapping[str, Any]] = Future()
                self._running = future
                threading.Thread(
                    target=self._run, args=(future,), name=f"check-{self._name}", daemon=True
                ).start()
            return self._running

    def _run(self, future: Future[Mapping[str, Any]]) -> None:
        try:
            future.set_result(self._check())
        except Exception as error:  # noqa: BLE001 (handed on, not swallowed)
            future.set_exception(error)


def _outcome(name: str, future: Future[Mapping[str, Any]], check_seconds: float) -> Mapping[str, Any]:
    if not future.done():
        return {"status": "down", "reason": f"no answer within {check_seconds} s"}
    if error := future.exception():
        # The text of a driver's error can name hosts and accounts: it belongs in the log only.
        _logger.warning("The check of %s failed: %s", name, error)
        return {"status": "down", "reason": type(error).__name__}
    return future.result()


def _answer(document: Mapping[str, Any], status: int) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
