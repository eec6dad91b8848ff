"""What is done with a PostgreSQL server: by its own programs, as its administrator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from platform_backup import containers
from platform_backup.containers import APPLICATION, pipe
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database

_PLAIN: Final = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_END: Final = "--- end of answer ---"
# So long a session of ours may hold a snapshot after we are gone.
SNAPSHOT_SECONDS: Final = 600
# A statement may go through a whole table.
_ANSWER_SECONDS: Final = 600.0


def connection(database: Database, name: str) -> tuple[str, ...]:
    """Give the options that connect a program of PostgreSQL to a database of a server.

    Args:
        database: says which server.
        name: the database to connect to.
    """
    return (
        "--host=/run/postgresql",
        f"--port={database.port}",
        f"--username={database.administrator}",
        "--no-password",
        f"--dbname={name}",
    )


def query(database: Database, statement: str, *, name: str = "template1") -> Any:
    """Run a statement that gives one JSON value, or nothing.

    Raises:
        BackupProblem: the server did not run it.
    """
    answer = containers.ask(
        database.container,
        "psql",
        *connection(database, name),
        *_PLAIN,
        f"--command={statement}",
        seconds=_ANSWER_SECONDS,
    )
    return json.loads(answer) if answer.strip() else None


class Session:
    """One session of psql, for what must stay the same over several statements."""

    def __init__(self, process: subprocess.Popen[bytes], server: str) -> None:
        self._process = process
        self._stdin, self._stdout = pipe(process.stdin), pipe(process.stdout)
        self._server = server

    def send(self, statement: str) -> None:
        """Send a statement without waiting for its end."""
        try:
            self._stdin.write(f"{statement}\n\\echo {_END}\n".encode())
            self._stdin.flush()
        except BrokenPipeError:
            # What psql said before it ended is read by `answer`.
            return

    def answer(self, seconds: float = _ANSWER_SECONDS) -> list[str]:
        """Wait for the end of what was sent, and give the lines of the answer.

        Raises:
            BackupProblem: the statement failed, or took longer than `seconds`.
        """
        lines: list[str] = []
        with containers.bounded(self._process, seconds) as given_up:
            for line in self._stdout:
                text = line.decode(errors="replace").rstrip("\n")
                if text == _END:
                    return lines
                lines.append(text)
        if given_up.is_set():
            raise BackupProblem(containers.no_answer(self._server, seconds))
        raise BackupProblem(f"{self._server}: {_said(lines)}")

    def end(self) -> None:
        """Let psql end; what was not committed is undone."""
        try:
            self._stdin.close()
            self._process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            # It has ended already, or is killed with the process that runs it.
            return

    def run(self, statement: str, seconds: float = _ANSWER_SECONDS) -> list[str]:
        """Run a statement to its end, which must come within `seconds`."""
        self.send(statement)
        return self.answer(seconds)


@contextmanager
def session(database: Database, name: str, *, idle_seconds: int) -> Iterator[Session]:
    """Open a session for the length of a `with`.

    Args:
        database: says which server.
        name: the database to connect to.
        idle_seconds: the server ends a transaction in which we say nothing for so long.
    """
    psql = ("psql", *connection(database, name), *_PLAIN)
    with containers.running(
        database.container, *psql, stdin=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        opened = Session(process, database.container)
        opened.run(f"SET idle_in_transaction_session_timeout = '{idle_seconds}s';")
        try:
            yield opened
        finally:
            # Its end, and not ours, is what tells psql in the container to end.
            opened.end()


def tables(opened: Session) -> list[str]:
    """List the tables of a session's database that are no part of PostgreSQL, as `schema.table`."""
    return opened.run(
        "SELECT format('%I.%I', nspname, relname)\n"
        "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace\n"
        "WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname !~ '^pg_' ORDER BY 1;"
    )


def row_counts(opened: Session) -> dict[str, int]:
    """Count the rows of every table."""
    # One processor is enough: requests come first.
    opened.run("SET max_parallel_workers_per_gather = 0;")
    return {table: int(opened.run(f"SELECT count(*) FROM {table};")[0]) for table in tables(opened)}


def schema_revision(opened: Session) -> str | None:
    """Give the newest migration that was applied; None where no migration ever was."""
    if opened.run("SELECT to_regclass('public.alembic_version') IS NOT NULL;") != ["t"]:
        return None
    revisions = opened.run("SELECT version_num FROM public.alembic_version ORDER BY 1;")
    return ",".join(revisions) or None


def end_leftovers(database: Database) -> None:
    """End sessions that a backup or restore which was killed has left."""
    query(
        database,
        "SELECT json_agg(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        f"WHERE application_name = '{APPLICATION}' AND pid <> pg_backend_pid()",
    )


def _said(lines: list[str]) -> str:
    errors = [line for line in lines if "ERROR:" in line or "FATAL:" in line]
    return containers.last_line("\n".join(errors or lines))
