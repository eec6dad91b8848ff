"""The metrics of all processes together."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.library.programs import attempt
from tests.library.servers import free_port

SCRAPE = """
import sys, urllib.request
from pathlib import Path
from platform_common.metrics import Counter, start_metrics_server
Counter("films", "Films seen.").inc(3)
Path(sys.argv[1], "counter_1.db").touch()
start_metrics_server(int(sys.argv[2]), "127.0.0.1")
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[2]}/metrics").read().decode())
"""


def test_a_process_that_is_just_making_its_file_hides_no_numbers_of_the_others(tmp_path: Path) -> None:
    variables = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": "srcs/common"}
    scrape = attempt(sys.executable, "-c", SCRAPE, tmp_path, str(free_port()), env=variables)
    assert scrape.returncode == 0, scrape.stderr
    assert "films_total 3.0" in scrape.stdout


SHOW = """
import subprocess, sys
from platform_common.metrics import Counter, start_metrics_server
Counter("films", "Films seen.").inc(3)
Counter("books", "Books seen.").inc(4)
start_metrics_server(int(sys.argv[1]), "127.0.0.1")
subprocess.run([sys.executable, "-m", "platform_common.show_metrics", "films_"], check=True)
"""


def environment(port: int) -> dict[str, str]:
    return os.environ | {"METRICS_PORT": str(port), "PYTHONPATH": "srcs/common"}


def test_an_app_shows_the_metrics_that_are_asked_for() -> None:
    port = free_port()
    shown = attempt(sys.executable, "-c", SHOW, str(port), env=environment(port))
    assert shown.returncode == 0, shown.stderr
    assert "films_total 3.0" in shown.stdout.splitlines()
    assert "books" not in shown.stdout


def test_metrics_of_an_app_that_does_not_run_are_a_sentence() -> None:
    shown = attempt(sys.executable, "-m", "platform_common.show_metrics", env=environment(free_port()))
    assert shown.returncode == 1
    assert "does not answer" in shown.stderr
    assert "Traceback" not in shown.stderr
