"""Making a backup."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from platform_backup import containers, postgres
from platform_backup.encryption import SUFFIX, encrypted
from platform_backup.manifest import NAME, DatabaseDump, Manifest, StoredFile
from platform_backup.orders import orders_on_their_way, wait_until_stored
from platform_backup.pace import Pace
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database, Settings
from platform_backup.store import Store, counted, require_space, size

_CHUNK_BYTES: Final = 1 << 20
_CHECK_SPACE_BYTES: Final = 16 << 20
Progress = Callable[[str], None]


def create(settings: Settings, progress: Progress, *, drain_seconds: float = 0) -> dict[str, Any]:
    """Make a backup, remove old ones, and describe what was done.

    Args:
        settings: of this machine.
        progress: is told what is being done.
        drain_seconds: wait so long at most until no order is on its way; 0: do not wait.

    Raises:
        BackupProblem: it could not be made; nothing of it is left then.
    """
    started = time.monotonic()
    containers.let_requests_go_first()
    store = Store(settings.directory)
    if drain_seconds:
        wait_until_stored(settings, drain_seconds, progress)
    with store.new() as (name, directory):
        manifest = _fill(settings, directory, progress)
    removed = store.prune(settings.keep, settings.keep_days)
    return {
        "name": name,
        "directory": str(settings.directory / name),
        "files": [file.file for file in manifest.files] + [NAME],
        "bytes": sum(file.bytes for file in manifest.files),
        "text": _summary(settings.directory / name, manifest, removed, time.monotonic() - started),
    }


def _fill(settings: Settings, directory: Path, progress: Progress) -> Manifest:
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    writer = _Writer(directory, settings, progress)
    for database in settings.databases:
        postgres.end_leftovers(database)
    sizes = {database.name: _database_bytes(database) for database in settings.databases}
    # A compressed dump is smaller than its database, which also holds indexes.
    require_space(directory, sum(sizes.values()), settings.reserve_bytes, "The backup")
    orders = orders_on_their_way(settings)
    manifest = Manifest(
        made_at=made_at,
        host=socket.gethostname(),
        databases=tuple(_dump(database, sizes[database.name], writer) for database in settings.databases),
        definitions=_definitions(settings, writer) if orders.queued is not None else None,
        orders=orders,
        encrypted_for=settings.recipient or None,
    )
    writer.write_manifest(manifest)
    return manifest


def _database_bytes(database: Database) -> int:
    return int(postgres.query(database, f"SELECT to_json(pg_database_size('{database.name}'))"))


def _dump(database: Database, database_bytes: int, writer: _Writer) -> DatabaseDump:
    """Dump a database, and count its rows in the very same snapshot."""
    with postgres.session(database, database.name, idle_seconds=postgres.SNAPSHOT_SECONDS) as opened:
        opened.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        (snapshot,) = opened.run("SELECT pg_export_snapshot();")
        (version,) = opened.run("SHOW server_version;")
        (number,) = opened.run("SHOW server_version_num;")
        writer.progress(f"{database.name}: its rows are counted")
        rows = postgres.row_counts(opened)
        revision = postgres.schema_revision(opened)
        file = writer.write(
            f"{database.name}.dump",
            database.container,
            "pg_dump",
            *postgres.connection(database, database.name),
            "--format=custom",
            # The fastest level: the processor is needed for requests.
            "--compress=1",
            f"--snapshot={snapshot}",
        )
    return DatabaseDump(
        file=file.file,
        sha256=file.sha256,
        bytes=file.bytes,
        name=database.name,
        rows=rows,
        database_bytes=database_bytes,
        server_version=version,
        server_major=int(number) // 10_000,
        schema_revision=revision,
    )


def _definitions(settings: Settings, writer: _Writer) -> StoredFile:
    return writer.write(
        "definitions.json", settings.broker, "rabbitmqctl", "--quiet", "export_definitions", "-"
    )


class _Writer:
    """Writes the files of a backup, encrypted where that is wanted, and never fills the disk."""

    def __init__(self, directory: Path, settings: Settings, progress: Progress) -> None:
        self.progress = progress
        self._directory = directory
        self._recipient = settings.recipient
        self._reserve = settings.reserve_bytes
        self._work_percent = settings.work_percent

    def write(self, name: str, container: str, *command: str) -> StoredFile:
        """Write what a command in a container prints.

        Args:
            name: of the file, before an ending that tells that it is encrypted.
            container: where the command runs.
            command: the command.

        Raises:
            BackupProblem: the command failed, or the disk is full.
        """
        file = name + (SUFFIX if self._recipient else "")
        with containers.running(container, *command) as process:
            with encrypted(containers.pipe(process.stdout), self._recipient) as stream:
                stored = self._write(file, stream)
            containers.check_end(process, f"{container}: {command[0]}")
        return stored

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, which is never encrypted."""
        self._write(NAME, io.BytesIO(manifest.to_json().encode()))

    def _write(self, file: str, source: IO[bytes]) -> StoredFile:
        started = time.monotonic()
        digest, written, checked = hashlib.sha256(), 0, 0
        pace = Pace(self._work_percent)
        try:
            with open(self._directory / file, "xb", opener=_private) as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
                    digest.update(chunk)
                    written += len(chunk)
                    if written - checked >= _CHECK_SPACE_BYTES:
                        checked = written
                        require_space(self._directory, 0, self._reserve, "What is left of the backup")
                    self.progress(f"{file}: {size(written)} in {time.monotonic() - started:.0f} s")
                    pace.rest_when_due()
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise BackupProblem(
                f"The disk of {self._directory.parent} is full: the backup was given up, and nothing of it "
                "is left. Make room there, or remove old backups."
            ) from error
        return StoredFile(file, digest.hexdigest(), written)


def _private(path: str, flags: int) -> int:
    # Written through piece by piece: one large flush at the end would keep the databases and the broker,
    # which write through each order, waiting for the disk.
    return os.open(path, flags | os.O_DSYNC, 0o600)


def _summary(directory: Path, manifest: Manifest, removed: list[str], seconds: float) -> str:
    rows = ", ".join(
        f"{dump.name} ({counted(sum(dump.table_rows.values()), 'row')}, {size(dump.bytes)})"
        for dump in manifest.databases
    )
    orders = manifest.orders
    parts = [f"The backup {directory} holds {rows}"]
    parts[0] += (
        " and the broker's definitions."
        if manifest.definitions
        else ", and not the broker's definitions, since the broker does not answer."
    )
    if orders.waiting is None:
        parts.append(
            "How many orders were on their way is not known: the broker or the gateway does not say."
        )
    elif orders.waiting:
        one = orders.waiting == 1
        parts.append(
            f"It does not hold {counted(orders.waiting, 'order')} that {'was' if one else 'were'} on "
            f"{'its' if one else 'their'} way at that moment "
            f"({orders.queued} "
            f"queued, {orders.in_gateway_store} in the gateway's store); DRAIN=1 waits until there are none."
        )
    else:
        parts.append("No order was on its way at that moment.")
    if manifest.encrypted_for:
        parts.append(f"It is encrypted for {manifest.encrypted_for}.")
    if removed:
        parts.append(f"Removed, since newer ones are enough: {', '.join(removed)}.")
    parts.append(f"It took {seconds:.0f} s.")
    return " ".join(parts)
