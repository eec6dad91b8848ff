"""The containers' health check: `python -m platform_common.healthcheck [--kill-after SECONDS]`.

It ends with 0 if the app's readiness (/health/ready on LISTEN_PORT) answers 200, else with 1 and a line that
says what was wrong (Docker keeps it: `docker inspect`). Docker restarts what exits, but not what hangs: with
--kill-after, an app that has given no answer at all for so long, or whose main process has shown no sign of
life, is killed, and its restart policy brings it back.

Only the standard library, and little of it: this runs every few seconds.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

TIMEOUT_SECONDS = 4.0
# The main process touches its file every second (`platform_common.watchdog`).
STILL_SECONDS = 20.0
_SHOWN_BYTES = 3000


def process_id_file() -> str:
    """Return where the main process of an app writes its process id."""
    return os.path.join(os.environ.get("TMPDIR", "/tmp"), "main.pid")  # noqa: S108


def probe(url: str, timeout: float = TIMEOUT_SECONDS) -> tuple[int, str]:
    """Return the status and the beginning of the body that GET `url` gives.

    Args:
        url: http://HOST:PORT/PATH.
        timeout: seconds for each step of the exchange.

    Raises:
        OSError: no answer, or none that is HTTP.
    """
    host_and_port, _, path = url.removeprefix("http://").partition("/")
    host, _, port = host_and_port.partition(":")
    request = f"GET /{path} HTTP/1.1\r\nHost: {host_and_port}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port or 80)), timeout) as connection:
        connection.sendall(request.encode("ascii"))
        answer = b""
        while len(answer) < 65536 and (part := connection.recv(65536)):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or not status or not status[0].isdigit():
        raise OSError("the answer is not HTTP")
    return int(status[0]), body[:_SHOWN_BYTES].decode("utf-8", "replace")


def main(arguments: list[str]) -> int:
    """Run the check; returns the exit code."""
    url = f"http://127.0.0.1:{os.environ['LISTEN_PORT']}/health/ready"
    kill_after = float(arguments[1]) if arguments[:1] == ["--kill-after"] else None
    silent_since = process_id_file() + ".silent"
    try:
        status, body = probe(url)
        if kill_after is not None:
            _look_at_main_process()
    except OSError as error:
        print(f"{url}: no answer: {error}")
        if kill_after is not None:
            _end_if_silent(silent_since, kill_after)
        return 1
    if os.path.exists(silent_since):
        os.unlink(silent_since)
    print(f"{url}: {status} {body}")
    return 0 if status == 200 else 1


def _look_at_main_process() -> None:
    """Raise OSError if the main process, which starts and watches the others, stands still."""
    age = time.time() - os.stat(process_id_file()).st_mtime
    if age > STILL_SECONDS:
        raise OSError(f"the main process has stood still for {age:.0f} s")


def _end_if_silent(silent_since: str, kill_after: float) -> None:
    """Kill the app if its first unanswered check in a row was `kill_after` seconds ago."""
    try:
        first = os.stat(silent_since).st_mtime
    except FileNotFoundError:
        with open(silent_since, "w"):
            return
    if time.time() - first < kill_after:
        return
    try:
        with open(process_id_file()) as file:
            process_id = int(file.read())
    except (OSError, ValueError) as error:
        print(f"the process to kill is unknown: {error}")
        return
    print(f"no answer for {kill_after:.0f} s: killing process {process_id}")
    os.unlink(silent_since)
    os.kill(process_id, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
