"""Restoring: a dump fills what Ansible has made beside the database in use."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from platform_backup import containers, postgres
from platform_backup.containers import pipe
from platform_backup.encryption import decrypted
from platform_backup.manifest import DatabaseDump, Manifest, check_files
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database
from platform_backup.store import size

_CHUNK_BYTES: Final = 1 << 20
_LOOK_SECONDS: Final = 60.0
# What a restore writes for a time beside the tables: its log of changes (max_wal_size and some more).
_LOG_BYTES: Final = 1536 << 20
# Another server, NAME-restore, or another database of the same server, DATABASE_beside.
BESIDE: Final = ("server", "database")
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


def open_source(directory: Path, names: list[str], *, key_given: bool) -> None:
    """Check what can be checked without the databases: manifest, checksums, names, and that there is a key.

    Args:
        directory: the backup.
        names: databases that are to be restored.
        key_given: whether there is a key to decrypt it.

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
    check_files(directory, dumps)


def check(source: Source, reserve_bytes: int) -> None:
    """Check against the servers, without changing anything: version, content, and room on the disk.

    Raises:
        BackupProblem: it cannot be restored.
    """
    for database in source.databases:
        dump = source.manifest.dump_of(database.name)
        version = int(postgres.query(database, "SELECT current_setting('server_version_num')"))
        if dump.server_major > version // 10_000:
            raise BackupProblem(
                f"The dump of {database.name} is of PostgreSQL {dump.server_major}, and {database.container} "
                f"runs {version // 10_000}: a newer server's dump cannot be restored. Update the platform "
                "first."
            )
        _check_content(source, database, dump)
    _check_room(source, reserve_bytes)


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


def _check_room(source: Source, reserve_bytes: int) -> None:
    """All are restored before the first one is switched, and their volumes are on one disk."""
    sizes = [source.manifest.dump_of(database.name).database_bytes for database in source.databases]
    answer = containers.ask(
        source.databases[0].container, "df", "--block-size=1", "--output=avail", "/var/lib/postgresql"
    )
    free = int(answer.split()[-1])
    wanted = sum(dumped + min(dumped, _LOG_BYTES) for dumped in sizes)
    if free < wanted + reserve_bytes:
        raise BackupProblem(
            f"Restoring {' and '.join(database.name for database in source.databases)} needs up to "
            f"{size(wanted)} beside what is there, and {size(reserve_bytes)} must stay free, but "
            f"{size(free)} are free. Make room; `make restore-discard` removes what earlier ones kept."
        )


def load(source: Source, beside: str, progress: Progress) -> dict[str, Any]:
    """Fill what is beside the databases in use, and compare it with the manifest.

    Args:
        source: a backup that `check` found to be good.
        beside: one of `BESIDE`. It is there, empty, with its accounts.
        progress: is told what is being done.

    Raises:
        BackupProblem: it failed, or the rows are not those of the manifest.
    """
    for database in source.databases:
        target = (
            replace(database, container=f"{database.container}-restore")
            if beside == "server"
            else replace(database, name=f"{database.name}_beside")
        )
        _load(source, source.manifest.dump_of(database.name), target, progress)
    return {"databases": [database.name for database in source.databases]}


def _load(source: Source, dump: DatabaseDump, database: Database, progress: Progress) -> None:
    started = time.monotonic()
    # Whoever owned the tables then: they belong to the account of today's migrations.
    command = (
        "pg_restore",
        *postgres.connection(database, database.name),
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
                progress(
                    f"{database.name}: {size(sent)} of {size(dump.bytes)} in "
                    f"{time.monotonic() - started:.0f} s"
                )
            pipe(process.stdin).close()
        except BrokenPipeError:
            # Why pg_restore has ended is said below.
            pass
        progress(f"{database.name}: its indexes are made")
        containers.check_end(process, f"{database.name}: restoring")
    progress(f"{database.name}: its rows are compared")
    with postgres.session(database, database.name, idle_seconds=postgres.SNAPSHOT_SECONDS) as session:
        rows = postgres.row_counts(session)
        revision = postgres.schema_revision(session)
        session.run("ANALYZE;")
    if rows != dump.rows or revision != dump.schema_revision:
        raise BackupProblem(
            f"What was restored of {database.name} is not what the manifest says ({rows} instead of "
            f"{dump.rows} rows). What serves was not touched. Take another backup."
        )
