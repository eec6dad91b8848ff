"""Restoring: into a new database beside the old one, which then takes its name.

The old database serves until the very end, but takes no writes, which would be lost with it: a
film gets a 503, and orders wait in the queue. The lock that does this ends with our process.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platform_backup import containers, postgres
from platform_backup.containers import pipe
from platform_backup.encryption import decrypted
from platform_backup.manifest import DatabaseDump, Manifest, check_files
from platform_backup.names import kept_name, restoring_name
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database
from platform_backup.store import counted, size
from platform_backup.swap import swap

_CHUNK_BYTES: Final = 1 << 20
_TOUCH_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 60.0
# What a restore writes for a time beside the tables: its log of changes (max_wal_size and some more).
_LOG_BYTES: Final = 1536 << 20
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A backup that was checked, as far as it is to be restored.

    Attributes:
        directory: of the backup.
        manifest: of the backup.
        databases: what is to be restored.
        key: identity of age, for an encrypted backup.
    """

    directory: Path
    manifest: Manifest
    databases: tuple[Database, ...]
    key: str


def open_source(
    directory: Path, names: list[str], key_given: bool, progress: Progress = lambda _: None
) -> Manifest:
    """Check what can be checked without the databases: manifest, checksums, names, and that there is a key.

    Args:
        directory: the backup.
        names: databases that are to be restored.
        key_given: whether there is a key to decrypt it.
        progress: is told what is being done.

    Raises:
        BackupProblem: it cannot be restored.
    """
    manifest = Manifest.read(directory)
    dumps = tuple(manifest.dump_of(name) for name in names)
    if manifest.encrypted_for and not key_given:
        raise BackupProblem(
            f"{directory} is encrypted for {manifest.encrypted_for}. Give the file with the key that "
            "belongs to it: KEY=FILE after `make`, or `-e operate_key=FILE`."
        )
    check_files(directory, dumps, progress)
    return manifest


def check(source: Source, reserve_bytes: int, progress: Progress) -> None:
    """Check against the servers, without changing anything: version, content, and room on the disk.

    Raises:
        BackupProblem: it cannot be restored.
    """
    for database in source.databases:
        dump = source.manifest.dump_of(database.name)
        progress(f"{database.name}: the dump is looked into")
        version = int(postgres.query(database, "SELECT current_setting('server_version_num')"))
        if dump.server_major > version // 10_000:
            raise BackupProblem(
                f"The dump of {database.name} is of PostgreSQL {dump.server_major}, and {database.container} "
                f"runs {version // 10_000}: a newer server's dump cannot be restored. Update the platform "
                "first."
            )
        if not postgres.query(
            database,
            f"SELECT to_json(count(*)) FROM pg_database WHERE datname = '{database.name}'",
        ):
            raise BackupProblem(
                f"{database.container} has no database {database.name}: `ansible-playbook site.yml` makes it."
            )
        _check_content(source, database, dump)
        _check_room(database, dump, reserve_bytes)


def _check_content(source: Source, database: Database, dump: DatabaseDump) -> None:
    """Ask pg_restore what the dump holds, which also shows that the key is right."""
    with (
        decrypted(source.directory / dump.file, source.key) as stream,
        containers.running(database.container, "pg_restore", "--list", stdin=subprocess.PIPE) as process,
    ):
        head = stream.read(_CHUNK_BYTES)
        if head:
            with containers.bounded(process, _LOOK_SECONDS):
                listing, said = process.communicate(head)
        else:
            # Why there is nothing is said by the end of the `with`.
            listing, said = b"", b""
    found = re.search(r"^;\s+dbname: (.*)$", listing.decode(errors="replace"), re.MULTILINE)
    if found is None:
        raise BackupProblem(
            f"{source.directory / dump.file} is no dump of PostgreSQL: "
            f"{containers.last_line(said.decode(errors='replace'))}. Nothing was restored."
        )
    if found[1] != dump.name:
        raise BackupProblem(
            f"{source.directory / dump.file} is a dump of the database {found[1]}, not of {dump.name}. "
            "Nothing was restored."
        )


def _check_room(database: Database, dump: DatabaseDump, reserve_bytes: int) -> None:
    answer = containers.ask(
        database.container, "df", "--block-size=1", "--output=avail", "/var/lib/postgresql"
    )
    free = int(answer.split()[-1])
    wanted = dump.database_bytes + min(dump.database_bytes, _LOG_BYTES)
    if free < wanted + reserve_bytes:
        raise BackupProblem(
            f"{database.name} needs up to {size(wanted)} beside the old database while it is restored, and "
            f"{size(reserve_bytes)} must stay free, but {size(free)} are free. Make room; "
            "`make restore-discard` removes databases that earlier restores have kept."
        )


def restore(
    source: Source, progress: Progress, *, before_swap: Callable[[Callable[[], None]], None]
) -> dict[str, Any]:
    """Restore, and describe what was done.

    Args:
        source: a backup that `check` found to be good.
        progress: is told what is being done.
        before_swap: is called when the new databases are there, with a function that it must call
            every few seconds.

    Raises:
        BackupProblem: it failed; the old databases are as they were, or the text says otherwise.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        guards = {}
        for database in source.databases:
            remove_unfinished(database)
            guards[database.name] = stack.enter_context(_no_writes(database))

        def touch() -> None:
            for guard in guards.values():
                guard.touch()

        for database in source.databases:
            stack.enter_context(_removed_on_failure(database))
            _load(source, database, touch, progress)
        before_swap(touch)
        done: list[str] = []
        for database in source.databases:
            kept = kept_name(database.name, "restore")
            try:
                guards[database.name].touch(now=True)
                swap(database, restoring_name(database.name), kept, progress)
            except BackupProblem as problem:
                also = (
                    f" {' and '.join(done)} is restored already: `make restore-undo` undoes it."
                    if done
                    else ""
                )
                raise BackupProblem(f"{problem} {database.name} is as it was.{also}") from problem
            done.append(database.name)
            guards[database.name].kept = kept
    seconds = time.monotonic() - started
    lines = [
        _told(database, source.manifest.dump_of(database.name), guards[database.name])
        for database in source.databases
    ]
    return {
        "databases": [database.name for database in source.databases],
        "text": f"{' '.join(lines)} It took {seconds:.0f} s.",
    }


def remove_unfinished(database: Database) -> None:
    """Remove what a restore that was killed has left."""
    postgres.end_leftovers(database)
    postgres.query(database, f'DROP DATABASE IF EXISTS "{restoring_name(database.name)}" WITH (FORCE)')


class _Guard:
    """Keeps writes away from a database."""

    def __init__(self, session: postgres.Session) -> None:
        self.session = session
        self.kept = ""
        self._touched_at = time.monotonic()
        session.run("BEGIN; SET LOCAL lock_timeout = '30s';")
        tables = postgres.tables(session)
        if tables:
            session.run(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE;")
        self.rows = postgres.row_counts(session)

    def touch(self, *, now: bool = False) -> None:
        """Show the server that we are still there, now and then.

        Raises:
            BackupProblem: the server has given us up, and writes may have come in since.
        """
        if now or time.monotonic() - self._touched_at >= _TOUCH_SECONDS:
            self._touched_at = time.monotonic()
            self.session.run("SELECT 1;", seconds=postgres.LOCK_SECONDS)


@contextmanager
def _no_writes(database: Database) -> Iterator[_Guard]:
    with postgres.session(database, database.name, idle_seconds=postgres.LOCK_SECONDS) as session:
        yield _Guard(session)


@contextmanager
def _removed_on_failure(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        remove_unfinished(database)
        raise


def _load(source: Source, database: Database, touch: Callable[[], None], progress: Progress) -> None:
    dump = source.manifest.dump_of(database.name)
    new = restoring_name(database.name)
    postgres.query(database, f'CREATE DATABASE "{new}" OWNER "{database.owner}" TEMPLATE template0')
    postgres.query(
        database, f'REVOKE ALL ON DATABASE "{new}" FROM PUBLIC; GRANT CONNECT ON DATABASE "{new}" TO app'
    )
    touch()
    started = time.monotonic()
    # Whoever owned the tables then: they belong to the account of today's migrations.
    command = (
        "pg_restore",
        *postgres.connection(database, new),
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        f"--role={database.owner}",
    )
    with (
        decrypted(source.directory / dump.file, source.key) as stream,
        containers.running(database.container, *command, stdin=subprocess.PIPE) as process,
    ):
        sent = 0
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                pipe(process.stdin).write(chunk)
                sent += len(chunk)
                touch()
                progress(
                    f"{database.name}: {size(sent)} of {size(dump.bytes)} in "
                    f"{time.monotonic() - started:.0f} s"
                )
            pipe(process.stdin).close()
        except BrokenPipeError:
            # Why pg_restore has ended is said below.
            pass
        progress(f"{database.name}: its indexes are made")
        while process.poll() is None:
            touch()
            time.sleep(0.1)
        containers.check_end(process, f"{database.name}: restoring")
    progress(f"{database.name}: its rows are compared")
    with postgres.session(database, new, idle_seconds=postgres.SNAPSHOT_SECONDS) as session:
        rows = postgres.row_counts(session)
        touch()
        revision = postgres.schema_revision(session)
        session.run("ANALYZE;")
    touch()
    if rows != dump.rows or revision != dump.schema_revision:
        raise BackupProblem(
            f"What was restored of {database.name} is not what the manifest says ({rows} instead of "
            f"{dump.rows} "
            "rows): the restored copy was removed, and the old database is as it was. Take another backup."
        )


def _told(database: Database, dump: DatabaseDump, guard: _Guard) -> str:
    tables = ", ".join(
        f"{table.removeprefix('public.')} {guard.rows.get(table, 0)} → {counted(rows, 'row')}"
        for table, rows in sorted(dump.table_rows.items())
    )
    return f"{database.name} is restored ({tables}); the old one is kept as {guard.kept}."
