"""The server of an app: granian with its workers, further processes, metrics, and a clean stop.

All processes are forked from one that has imported the app's libraries already, so that they
share that memory. None is replaced when it dies unexpectedly: the whole app ends with a non-zero
code and its restart policy starts it afresh, so that it is never half dead without anybody noticing.

Two properties of granian 2.8 that WSGI apps must know:
- An iterator that raises ends its chunked answer like one that is complete. So no answer is made while
  it is sent.
- A thread is held until a body has come, for which there is no limit of time. So all apps stand behind a
  proxy, which sends complete requests.
"""

from __future__ import annotations

import gc
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from platform_common.draining import start_draining
from platform_common.healthcheck import process_id_file
from platform_common.heartbeat import Heartbeat
from platform_common.logs import configure_logging, log_what_python_would_print, logging_config
from platform_common.metrics import remove_old_metrics, start_metrics_server
from platform_common.settings import BaseSettings
from platform_common.watchdog import ROUND_SECONDS, beat_in_background, watch

# For the next request on a kept connection, too: the proxy closes it long before.
HEADER_SECONDS: Final = 60
# A request line and its headers together: the proxy lets in less, and adds some.
HEAD_BYTES: Final = 32 * 1024
# Of each worker.
CONNECTIONS: Final = 512
WORKER_STOP_SECONDS: Final = 10
CHILD_STOP_SECONDS: Final = 15
EXIT_CHILD_DIED: Final = 70  # EX_SOFTWARE of sysexits.h
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChildProcess:
    """A process that runs beside the HTTP workers.

    Attributes:
        name: its name in logs.
        run: what it does. It must call `heartbeat.beat` at least every ten seconds, unless there is
            `answers`, and return soon after `stop_signal`.
        heartbeat: made before the fork, so that HTTP workers can read its age.
        answers: asked every second whether the process works; for a program that knows no heartbeat.
        stop_signal: tells it to end.
        serves_clients: it gets that signal when the app has drained, before the workers end; others get it
            when the app begins to drain.
    """

    name: str
    run: Callable[[], None]
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    answers: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    serves_clients: bool = False


def serve(
    target: str,
    settings: BaseSettings,
    *,
    unix_socket: Path | None = None,
    child_processes: Sequence[ChildProcess] = (),
    heartbeats: Mapping[str, Heartbeat] | None = None,
    preload: Sequence[str] = (),
) -> int:
    """Serve the application `target` until SIGTERM; returns the exit code.

    SIGTERM begins the draining: /health/ready answers 503, further processes get SIGTERM too,
    requests are served for `settings.drain_seconds` more, then what is in flight is finished.
    A second SIGTERM cuts the waiting short.

    Args:
        target: "package.module:application", imported in each worker after the fork.
        settings: what the app was told.
        unix_socket: where to listen in place of the port.
        child_processes: what runs beside the workers.
        heartbeats: of threads of this process, which ends if one of them stands still.
        preload: modules to import before the fork, to share their memory. They must start no
            thread and open no connection when imported.
    """
    configure_logging(settings.service_name, settings.log_level)
    log_what_python_would_print()
    remove_old_metrics()
    if unix_socket is not None:
        # Of an earlier process that was killed; its directory may outlive a container, as in Kubernetes.
        unix_socket.unlink(missing_ok=True)
    for module in preload:
        importlib.import_module(module)
    return _Application(target, settings, unix_socket, child_processes, heartbeats or {}).run()


class _Application:
    def __init__(
        self,
        target: str,
        settings: BaseSettings,
        unix_socket: Path | None,
        child_processes: Sequence[ChildProcess],
        heartbeats: Mapping[str, Heartbeat],
    ) -> None:
        self._settings = settings
        self._children = child_processes
        self._heartbeats = heartbeats
        self._processes: list[ForkProcess] = []
        self._watchers: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._failed = False
        self._worker_heartbeats = [Heartbeat() for _ in range(settings.workers)]
        # One byte for each worker, which takes one and thereby its heartbeat.
        self._tickets, tickets_in = os.pipe()
        os.write(tickets_in, bytes(range(settings.workers)))
        os.close(tickets_in)
        if multiprocessing.get_start_method(allow_none=True) != "fork":
            # granian forks where this says so; "spawn" would import everything again.
            multiprocessing.set_start_method("fork", force=True)
        self._server = Server(
            target,
            address="0.0.0.0",  # noqa: S104 (the container's network is the boundary)
            port=settings.listen_port,
            uds=unix_socket,
            uds_permissions=0o600,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=HEAD_BYTES
            ),
            workers=settings.workers,
            blocking_threads=settings.threads,
            blocking_threads_idle_timeout=60,
            runtime_blocking_threads=1,
            backlog=1024,
            backpressure=max(CONNECTIONS, settings.threads),
            websockets=False,
            log_level=LogLevels.error if settings.log_level != "debug" else LogLevels.debug,
            log_dictconfig=logging_config(settings.service_name, settings.log_level),
            workers_kill_timeout=WORKER_STOP_SECONDS,
        )
        self._server.on_startup(self._before_workers)

    def run(self) -> int:
        pid_file = Path(process_id_file())
        pid_file.write_text(str(os.getpid()))
        try:
            self._server.serve(target_loader=cast(Any, self._load_in_worker))
        finally:
            self._stop_children()
            pid_file.unlink(missing_ok=True)
        return EXIT_CHILD_DIED if self._failed else os.EX_OK

    def _load_in_worker(self, target: str) -> Any:
        ticket = os.read(self._tickets, 1)
        beat_in_background(self._worker_heartbeats[ticket[0]])
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def _before_workers(self) -> None:
        """Runs in the main process when granian has its signal handlers and socket, but no worker."""
        signal.signal(signal.SIGTERM, self._drain)
        signal.signal(signal.SIGINT, self._drain)
        # What was imported so far lives as long as the app: left out of garbage collection, its
        # memory pages stay shared.
        gc.collect()
        gc.freeze()
        for child in self._children:
            process = multiprocessing.get_context("fork").Process(
                name=child.name, target=_run_child, args=(child,)
            )
            process.start()
            self._processes.append(process)
            if child.answers is not None:
                _beat_while_it_answers(child.heartbeat, process, child.answers)
        heartbeats = {f"worker {number}": beat for number, beat in enumerate(self._worker_heartbeats, 1)}
        heartbeats |= {child.name: child.heartbeat for child in self._children} | dict(self._heartbeats)
        watch(heartbeats, self._settings.hang_seconds, Path(process_id_file()))
        for process in self._processes:
            watcher = threading.Thread(target=self._watch_child, args=(process,), daemon=True)
            watcher.start()
            self._watchers.append(watcher)
        start_metrics_server(self._settings.metrics_port)
        _logger.info(
            "serving on port %d with %d workers of %d threads",
            self._settings.listen_port,
            self._settings.workers,
            self._settings.threads,
            extra={"candidate": self._settings.candidate},
        )

    def _watch_child(self, process: ForkProcess) -> None:
        process.join()
        if not self._stopping.is_set():
            _logger.critical("%s ended unexpectedly with code %s", process.name, process.exitcode)
            self._failed = True
            self._interrupt()

    def _drain(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._interrupt()
            return
        self._stopping.set()
        start_draining()
        self._tell_to_end(serves_clients=False)
        timer = threading.Timer(self._settings.drain_seconds, self._stop_serving)
        timer.daemon = True
        timer.start()

    def _tell_to_end(self, *, serves_clients: bool) -> list[threading.Thread]:
        """Send such children their signal; returns who waits for their end."""
        told = []
        for child, process, watcher in zip(self._children, self._processes, self._watchers, strict=True):
            if child.serves_clients == serves_clients and process.pid is not None and process.is_alive():
                os.kill(process.pid, child.stop_signal)
                told.append(watcher)
        return told

    def _stop_serving(self) -> None:
        """End those who take requests, then the workers who answer them."""
        for watcher in self._tell_to_end(serves_clients=True):
            watcher.join(CHILD_STOP_SECONDS)
        self._interrupt()

    def _interrupt(self) -> None:
        """Make `granian` stop its workers and return."""
        self._server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _stop_children(self) -> None:
        self._stopping.set()
        for process in self._processes:
            process.terminate()
        # Only the watcher may wait for a process: of two threads that do, one is told nonsense.
        for process, watcher in zip(self._processes, self._watchers, strict=True):
            watcher.join(CHILD_STOP_SECONDS)
            if watcher.is_alive():
                _logger.error("%s does not stop: killing it", process.name)
                self._failed = True
                process.kill()
                watcher.join()


def _beat_while_it_answers(heartbeat: Heartbeat, process: ForkProcess, answers: Callable[[], bool]) -> None:
    process_id = process.pid

    def run() -> None:
        while process.is_alive():
            if answers():
                heartbeat.beat(process_id)
            time.sleep(ROUND_SECONDS)

    threading.Thread(target=run, name=f"heartbeat of {process.name}", daemon=True).start()


def _run_child(child: ChildProcess) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    child.heartbeat.beat()
    child.run()
