"""Prometheus metrics, right over all processes of an app.

With PROMETHEUS_MULTIPROC_DIR set (as in the containers), each process keeps its numbers in
files of that directory, and the main process adds them up. The directory must exist before the
first metric is made: therefore this module makes it when it is imported, and an app takes the
classes of its own metrics from here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

_DIRECTORY: Final = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if _DIRECTORY:
    Path(_DIRECTORY).mkdir(parents=True, exist_ok=True)

from flask import Flask, Response, g, request  # noqa: E402
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server  # noqa: E402
from prometheus_client.metrics_core import Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "init_metrics",
    "remove_old_metrics",
    "start_metrics_server",
]

_REQUESTS: Final = Counter(
    "http_requests_total", "HTTP requests answered.", ["service", "method", "route", "status"]
)
_DURATION: Final = Histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival to the start of its answer.",
    ["service", "method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _FilledFilesCollector(MultiProcessCollector):
    """Adds up what the processes counted, but for files that one of them is just making.

    A process makes an empty file before it gives it its size; the library would fail to read that.
    """

    def collect(self) -> Iterable[Metric]:
        files = Path(self._path).glob("*.db")
        filled = [str(file) for file in files if file.stat().st_size]
        metrics: Iterable[Metric] = self.merge(filled)  # type: ignore[no-untyped-call]
        return metrics


def init_metrics(app: Flask, service_name: str) -> None:
    """Count and time each request of `app` by route (not by path: ids would be endless).

    Its clock is that of `request_context`.
    """

    # To look a sample up takes longer than to count in it.
    @cache
    def requests(method: str, route: str, status: int) -> Counter:
        return _REQUESTS.labels(service_name, method, route, status)

    @cache
    def duration(method: str, route: str) -> Histogram:
        return _DURATION.labels(service_name, method, route)

    @app.after_request
    def count(response: Response) -> Response:
        method = request.method if request.method in _METHODS else "other"
        route = request.url_rule.rule if request.url_rule else "none"
        requests(method, route, response.status_code).inc()
        duration(method, route).observe(time.perf_counter() - g.started_at)
        return response


def remove_old_metrics() -> None:
    """Forget the numbers of an earlier run; called by the main process before others start."""
    if _DIRECTORY:
        for file in Path(_DIRECTORY).glob("*.db"):
            if not file.name.endswith(f"_{os.getpid()}.db"):
                file.unlink(missing_ok=True)


def start_metrics_server(port: int, address: str = "0.0.0.0") -> None:  # noqa: S104
    """Serve /metrics on `port` from a thread of this process, over all processes of the app.

    Raises:
        OSError: the port is taken.
    """
    registry = REGISTRY
    if _DIRECTORY:
        registry = CollectorRegistry()
        registry.register(_FilledFilesCollector(None))  # type: ignore[no-untyped-call]
    start_http_server(port, addr=address, registry=registry)
