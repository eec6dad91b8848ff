from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

from gateway_process import StartGateway
from servers import wait_until

from api_gateway_app.access_log import FILE_NAME, AccessLog


def write_lines(directory: Path, name: str, count: int, file_bytes: int) -> None:
    log = AccessLog(directory, file_bytes=file_bytes, files=3)
    log.start()
    for number in range(count):
        log.write(f"{name}-{number}-{'x' * 80}".encode())
    log.stop()


def test_lines_of_several_processes_do_not_mix_and_the_files_keep_to_their_cap(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=write_lines, args=(tmp_path, name, 3000, 100_000)) for name in ("a", "b")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [FILE_NAME, f"{FILE_NAME}.1", f"{FILE_NAME}.2"]
    # A batch may go over the mark before the file is rotated.
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * (100_000 + 2 * 500 * 100)
    for path in tmp_path.iterdir():
        for line in path.read_text().splitlines():
            assert line.endswith("x" * 80)
            assert line.count("-") == 2


def test_no_line_is_lost_while_there_is_room(tmp_path: Path) -> None:
    write_lines(tmp_path, "a", 2000, 10_000_000)
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 2000


def test_each_call_is_one_line_with_its_request_id(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1")
    gateway.request("GET", "/docs?a=b", headers={"X-Request-ID": "mine", "User-Agent": 'a "b"'})
    file = gateway.log_directory / FILE_NAME
    wait_until(lambda: file.exists() and "mine" in file.read_text(), "the line is written")
    [line] = [json.loads(line) for line in file.read_text().splitlines() if "mine" in line]
    assert line["method"] == "GET"
    assert (line["path"], line["query"], line["status"]) == ("/docs", "a=b", 200)
    assert line["user_agent"] == 'a "b"'


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
