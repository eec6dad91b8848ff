"""A backup or restore as a process of its own, which goes on when the connection of who began it is lost."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from platform_backup.problem import BackupProblem

# A restart of the machine ends the job, and empties the directory.
DIRECTORY: Final = Path("/run/play-with-containers-backup")
_POLL_SECONDS: Final = 0.2
_TELL_SECONDS: Final = 0.5
_END_SECONDS: Final = 60
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


class Ended(BaseException):
    """The process was told to end."""


class Job:
    """What a running job tells.

    Its state is `running`, `done` or `failed`.
    """

    def __init__(self) -> None:
        self._file = DIRECTORY / "state.json"
        self._told_at = 0.0

    def tell(self, state: str, **values: Any) -> None:
        """Write the state, in one step."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"state": state, "process": os.getpid(), **values}))
        new.rename(self._file)

    def progress(self, text: str) -> None:
        """Tell what is being done; of what comes too quickly, only some is told."""
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self.tell("running", progress=text)

    def read(self) -> dict[str, Any]:
        """Give the state; a job that is neither done nor alive has failed."""
        try:
            # The lock first: a job that ends between the two has told its end before.
            alive = _is_locked(DIRECTORY / "lock")
            state: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {
                "state": "failed",
                "error": "Nothing was started, or the machine was restarted meanwhile.",
            }
        if state["state"] == "running" and not alive:
            return {"state": "failed", "error": f"Its process ({state['process']}) was killed. Run it again."}
        return state


@contextmanager
def only_one(*, take_over: bool = False) -> Iterator[None]:
    """Hold the lock that keeps two of these programs from working at once.

    Args:
        take_over: end the other one, if there is one.

    Raises:
        BackupProblem: there is another one.
    """
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    with (DIRECTORY / "lock").open("a+") as lock:
        if take_over:
            _end_other(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupProblem(
                f"Another backup or restore is at work (process {_holder(lock)}). Wait until it is done; "
                "if it "
                "should be ended, run this again with `BREAK_LOCK=yes` after `make`, or `-e break_lock=yes`."
            ) from error
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def start(work: Callable[[Job], dict[str, Any]], *, limit_seconds: int, take_over: bool) -> None:
    """Run `work` in a process of its own, and return when it has begun.

    Raises:
        BackupProblem: another one is at work.
    """
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as begun:
            said = begun.read()
        if said:
            raise BackupProblem(said)
        return
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    code = 1
    try:
        code = _run(work, writer, limit_seconds, take_over)
    finally:
        # Not the caller's exit handlers and buffers, of which this is a copy.
        os._exit(code)


def _run(work: Callable[[Job], dict[str, Any]], begun: int, limit_seconds: int, take_over: bool) -> int:
    job = Job()
    with (DIRECTORY / "log").open("w") as log, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            with only_one(take_over=take_over), bounded(limit_seconds):
                return _work(work, job, begun)
        except BackupProblem as problem:
            os.write(begun, str(problem).encode())
            return 1


def _work(work: Callable[[Job], dict[str, Any]], job: Job, begun: int) -> int:
    state, values = "", dict[str, Any]()
    # A signal may come at any moment, also before the work and after it.
    try:
        job.tell("running", progress="it begins")
        os.close(begun)
        state, values = _result(work, job)
        _ignore_signals()
    except Ended as ended:
        if not state:
            state, values = "failed", {"error": str(ended)}
    job.tell(state, **values)
    return 0 if state == "done" else 1


def _result(work: Callable[[Job], dict[str, Any]], job: Job) -> tuple[str, dict[str, Any]]:
    try:
        return "done", {"result": work(job)}
    except BackupProblem as problem:
        return "failed", {"error": str(problem)}
    except Exception as error:  # noqa: BLE001 - whoever watches must be told, whatever it is
        traceback.print_exc()
        return "failed", {
            "error": f"The program itself failed: {error!r}. Please report it with {DIRECTORY}/log."
        }


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def bounded(limit_seconds: int) -> Iterator[None]:
    """End with `Ended` when told to, and when it takes too long; what must be undone is undone then."""

    def end(number: int, _frame: object) -> None:
        # Once is enough: a second signal must not disturb the undoing.
        _ignore_signals()
        raise Ended(
            f"It took longer than {limit_seconds} s (backup_limit_seconds) and was ended."
            if number == signal.SIGALRM
            else "It was told to end, and was undone."
        )

    for number in _SIGNALS:
        signal.signal(number, end)
    signal.alarm(limit_seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def watch(seconds: float) -> dict[str, Any]:
    """Give the state of the job as soon as it is over, or after some seconds."""
    deadline = time.monotonic() + seconds
    while (state := Job().read())["state"] == "running" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return state


def stop() -> None:
    """End the job, if there is one, and wait until it has undone what it did."""
    if (DIRECTORY / "lock").exists():
        with (DIRECTORY / "lock").open("a+") as lock:
            _end_other(lock)


def _end_other(lock: Any) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise BackupProblem(
                    f"Another backup or restore (process {_holder(lock)}) does not end: kill it there."
                ) from None
            if (holder := _holder(lock)).isdigit():
                os.kill(int(holder), signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
        else:
            fcntl.flock(lock, fcntl.LOCK_UN)
            return


def _holder(lock: Any) -> str:
    lock.seek(0)
    return str(lock.read()).strip() or "unknown"


def _is_locked(path: Path) -> bool:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
