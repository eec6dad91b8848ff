from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from tests.library.apps import QUEUE, Broker
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import StartGateway
from tests.library.raw import exchange
from tests.library.support import wait_until

from api_gateway_app import access_log
from api_gateway_app.access_log import FILE_NAME, AccessLog


def test_the_files_keep_to_their_cap(tmp_path: Path) -> None:
    log = AccessLog(tmp_path, file_bytes=100_000, files=3)
    for number in range(60):
        log.write([b"%d-%d-" % (number, line) + b"x" * 80 for line in range(100)])
    log.write([b"the newest"])
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [FILE_NAME, f"{FILE_NAME}.1", f"{FILE_NAME}.2"]
    # A batch may go over the mark before the file is rotated.
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * (100_000 + 100 * 100)
    assert (tmp_path / FILE_NAME).read_text() == "the newest\n"


def test_a_single_file_keeps_to_its_cap(tmp_path: Path) -> None:
    log = AccessLog(tmp_path, file_bytes=1000, files=1)
    for _ in range(100):
        log.write([b"x" * 80])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1100


def test_each_call_is_one_line_with_its_request_id(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1")
    gateway.request("GET", "/docs?a=b", headers={"X-Request-ID": "mine", "User-Agent": 'a "b"'})
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and "mine" in file.read_text(), "the line is written")
    [line] = [json.loads(line) for line in file.read_text().splitlines() if "mine" in line]
    assert line["method"] == "GET"
    assert (line["path"], line["query"], line["status"]) == ("/docs", "a=b", 200)
    assert line["user_agent"] == 'a "b"'
    wait_until(lambda: '"mine"' in gateway.output, "the line is in the container's log")
    assert [line] == [json.loads(line) for line in gateway.output.splitlines() if '"mine"' in line]


def test_a_line_of_what_is_no_request_is_json_too(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1")
    answer = exchange(f"http://127.0.0.1:{gateway.port}", "no request")
    assert answer
    assert answer.status == 400
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and file.read_text(), "the line is written")
    line = json.loads(file.read_text())
    assert (line["status"], line["method"], line["order"]) == (400, "-", None)


def test_a_line_tells_which_order_was_accepted_and_who_has_it(
    start_gateway: StartGateway, topology: Broker
) -> None:
    gateway = start_gateway(WORKERS="2")
    gateway.wait_for_broker()
    confirmed = gateway.post_order().json()["order_id"]
    with topology.channel() as channel:
        # The broker returns each order then.
        channel.queue_delete(QUEUE)
    kept = gateway.post_order().json()["order_id"]
    gateway.request("POST", "/api/billing", {})
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and '"status":400' in file.read_text(), "the lines are written")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["order"] for line in lines if line["path"] == "/api/billing"] == [
        {"id": confirmed, "outcome": "confirmed"},
        {"id": kept, "outcome": "kept"},
        None,
    ]


def test_a_line_too_long_for_the_containers_log_is_shortened_there_and_whole_in_the_file(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(WORKERS="1")
    # The longest: a request line over 16 KiB is refused, and logged too.
    gateway.request("GET", "/docs/" + "b" * 100_000)
    path = "/docs/" + "a" * 4000
    gateway.request("GET", path, headers={"X-Request-ID": "long"})
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and '"long"' in file.read_text(), "the line is written")
    refused, line = [json.loads(line) for line in file.read_text().splitlines()]
    assert (refused["status"], refused["order"]) == (400, None)
    assert (line["path"], line["request_id"]) == (path, "long")
    wait_until(lambda: '"long"' in gateway.output, "the line is in the container's log")
    [shortened] = [line for line in gateway.output.splitlines() if '"long"' in line]
    assert len(shortened) < 4096
    assert json.loads(shortened)["status"] == 404


def test_a_full_volume_fails_no_request_and_the_dropped_lines_are_counted(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(WORKERS="1")
    file = gateway.log_directory / FILE_NAME
    file.unlink(missing_ok=True)
    # Every write to it fails with "no space left on device".
    file.symlink_to("/dev/full")
    for _ in range(20):
        assert gateway.request("GET", "/docs").status == 200
    wait_until(
        lambda: gateway.metric('access_log_lines_total{outcome="dropped"}') >= 20, "the lines are counted"
    )
    file.unlink()
    gateway.request("GET", "/docs", headers={"X-Request-ID": "again"})
    wait_until(lambda: file.exists() and "again" in file.read_text(), "lines are written again")


def test_lines_that_come_while_the_reader_stands_still_are_not_lost(
    start_gateway: StartGateway, upstream: FaultyUpstream
) -> None:
    gateway = start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=upstream.url)
    wait_until(lambda: gateway.in_rotation("inventory-app") == {"127.0.0.1"}, "inventory-app is in rotation")
    os.kill(gateway.process_id, signal.SIGSTOP)
    try:
        for number in range(100):
            gateway.request("GET", "/api/movies", headers={"X-Request-ID": f"line-{number}"})
    finally:
        os.kill(gateway.process_id, signal.SIGCONT)
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and file.read_text().count('"line-') == 100, "all lines are written")


def test_lines_for_which_the_queue_has_no_room_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_print", lambda _line: None)
    log = AccessLog(tmp_path, file_bytes=10**9, files=2)
    goes_on = threading.Event()
    host, port = access_log.start_reading(log, lambda _lines: goes_on.wait(60)).split(":")
    sent, before = 5000, dropped()
    file = tmp_path / FILE_NAME
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((host, int(port)))
        for _ in range(sent):
            sender.send(b'<134>{"one":"%s"}' % (b"x" * 3000))
        goes_on.set()
        # The kernel tells it with the next line that has room.
        wait_until(lambda: sender.send(b'<134>{"next":1}') and '"next"' in file.read_text(), "it goes on")
    assert dropped() - before == sent - file.read_text().count('"one"') > 0


def dropped() -> float:
    return REGISTRY.get_sample_value("access_log_lines_total", {"outcome": "dropped"}) or 0
