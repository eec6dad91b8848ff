"""The processes of an app: a clean stop, and an end where one of them dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.library.apps import RunningApp, StartApp, base_environment, running_app
from tests.library.programs import attempt
from tests.library.servers import free_port
from tests.library.support import wait_until

APP = """
import os, signal, sys, threading, time
from flask import Flask
from platform_common.app import make_app
from platform_common.cli import run
from platform_common.heartbeat import Heartbeat
from platform_common.server import ChildProcess, serve
from platform_common.settings import BaseSettings, Environment
from platform_common.validation import read_json_object

settings = BaseSettings.read(Environment())
app = make_app("demo", settings=settings, checks={})

@app.get("/slow")
def slow():
    open(os.environ["TMPDIR"] + "/begun", "w").close()
    time.sleep(1.5)
    return "done"

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.post("/echo")
def echo():
    from flask import request
    return read_json_object(request)

child = None

def work():
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while not stop:
        child.heartbeat.beat()
        time.sleep(0.1)
    print("child finished", flush=True)

thread = Heartbeat()

def beat_until_the_file_is_there():
    while not os.path.exists(os.environ["TMPDIR"] + "/hang"):
        thread.beat()
        time.sleep(0.1)

def serve_all():
    threading.Thread(target=beat_until_the_file_is_there, daemon=True).start()
    return serve("demo:app", settings, child_processes=[child], heartbeats={"thread": thread})

child = ChildProcess("child", work)
if __name__ == "__main__":
    run({"serve": serve_all})
"""


@pytest.fixture
def start(tmp_path: Path) -> StartApp:
    (tmp_path / "demo.py").write_text(APP)
    path = f"{tmp_path}{os.pathsep}{base_environment()['PYTHONPATH']}"

    @contextmanager
    def start(**variables: str) -> Iterator[RunningApp]:
        with running_app("demo", tmp_path / "app", {"PYTHONPATH": path, **variables}) as app:
            yield app

    return start


def test_sigterm_drains_then_ends_with_zero(start: StartApp) -> None:
    with start(DRAIN_SECONDS="2") as app:
        assert app.status("/health/ready") == 200
        app.process.terminate()
        app.wait_for("/health/ready", 503)
        assert app.get("/health/ready").json()["status"] == "draining"
        # Whoever still comes is served.
        assert app.status("/pid") == 200
        assert app.process.wait(10) == 0
        assert "child finished" in app.log()


def test_a_request_in_flight_is_answered_before_the_end(start: StartApp, tmp_path: Path) -> None:
    with start(DRAIN_SECONDS="0") as app:
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(app.status("/slow")))
        thread.start()
        wait_until((tmp_path / "app" / "begun").exists, "the request is being served")
        app.process.terminate()
        thread.join()
        assert statuses == [200]
        assert app.process.wait(10) == 0


@pytest.mark.parametrize("which", ["child", "worker"])
def test_the_app_ends_when_a_process_of_it_dies(start: StartApp, which: str) -> None:
    with start() as app:
        worker = int(app.get("/pid").body)
        [child] = set(app.children()) - {worker}
        os.kill(worker if which == "worker" else child, signal.SIGKILL)
        assert app.process.wait(20) not in {0, None}


@pytest.mark.parametrize("which", ["child", "worker"])
def test_the_app_ends_when_a_process_of_it_stands_still(start: StartApp, which: str) -> None:
    with start(HANG_SECONDS="3") as app:
        worker = int(app.get("/pid").body)
        [child] = set(app.children()) - {worker}
        os.kill(worker if which == "worker" else child, signal.SIGSTOP)
        assert app.process.wait(25) not in {0, None}
        assert "has stood still" in app.log()


def test_the_app_ends_when_a_thread_of_its_main_process_stands_still(start: StartApp, tmp_path: Path) -> None:
    with start(HANG_SECONDS="3") as app:
        (tmp_path / "app" / "hang").touch()
        assert app.process.wait(25) not in {0, None}
        assert "thread has stood still" in app.log()


def test_a_pause_of_the_whole_app_kills_nothing(start: StartApp) -> None:
    with start(HANG_SECONDS="3") as app:
        processes = [app.process.pid, *app.children()]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        paused_at = time.monotonic()
        wait_until(lambda: time.monotonic() - paused_at > 6, "a pause longer than the watchdog bears")
        for process in processes[::-1]:
            os.kill(process, signal.SIGCONT)
        resumed_at = time.monotonic()
        while time.monotonic() - resumed_at < 3.5:
            assert app.status("/health/ready") == 200
        assert app.process.poll() is None


def test_the_health_check_says_what_it_saw(start: StartApp) -> None:
    with start() as app:
        check = health_check(app.port)
        assert (check.returncode, "ready" in check.stdout) == (0, True)
    # A server without any resource.
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request).start()
        check = health_check(server.server_port)
        assert (check.returncode, "501" in check.stdout) == (1, True)
    check = health_check(free_port())
    assert (check.returncode, "no answer" in check.stdout) == (1, True)


def test_an_app_that_gives_no_answer_for_long_is_killed_by_its_health_check(
    start: StartApp, tmp_path: Path
) -> None:
    with start() as app:
        directory = str(tmp_path / "app")
        silence = free_port()
        # Silent, then well again: the first silence is forgotten.
        for port, code in ((silence, 1), (app.port, 0), (silence, 1)):
            assert health_check(port, "--kill-after", "0", directory=directory).returncode == code
            assert app.process.poll() is None
        check = health_check(silence, "--kill-after", "0", directory=directory)
        assert "killing" in check.stdout
        assert app.process.wait(5) == -signal.SIGKILL


def test_an_app_whose_main_process_stands_still_is_killed_by_its_health_check(
    start: StartApp, tmp_path: Path
) -> None:
    with start() as app:
        directory = tmp_path / "app"
        check = ["--kill-after", "0"]
        assert health_check(app.port, *check, directory=str(directory)).returncode == 0
        os.kill(app.process.pid, signal.SIGSTOP)
        # As after a minute.
        a_minute_ago = time.time() - 60
        os.utime(directory / "main.pid", (a_minute_ago, a_minute_ago))
        first = health_check(app.port, *check, directory=str(directory))
        assert (first.returncode, "the main process has stood still" in first.stdout) == (1, True)
        health_check(app.port, *check, directory=str(directory))
        assert app.process.wait(5) == -signal.SIGKILL


def health_check(
    port: int, *arguments: str, directory: str = "/nonexistent"
) -> subprocess.CompletedProcess[str]:
    variables = base_environment() | {"TMPDIR": directory, "LISTEN_PORT": str(port)}
    return attempt(sys.executable, "-S", "-m", "platform_common.healthcheck", *arguments, env=variables)
