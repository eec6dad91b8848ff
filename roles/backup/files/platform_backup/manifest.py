"""The manifest: what a backup consists of, and how to see that nothing of it has changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from platform_backup.problem import BackupProblem

FORMAT: Final = 1
NAME: Final = "manifest.json"
NOT_FILLED_BY_USERS: Final = frozenset({"public.alembic_version", "public.idempotency_keys"})
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file of a backup, as it lies there: encrypted, where the backup is."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class DatabaseDump(StoredFile):
    """The dump of a database, and what the database was like in the dump's snapshot.

    Attributes:
        name: of the database.
        rows: number of rows by table, as `schema.table`.
        database_bytes: what the database took on the disk.
        server_version: of PostgreSQL, as it names itself.
        server_major: the number that dumps are compatible by, such as 15.
        schema_revision: the newest migration that was applied; None where there was none.
    """

    name: str
    rows: dict[str, int]
    database_bytes: int
    server_version: str
    server_major: int
    schema_revision: str | None

    @property
    def table_rows(self) -> dict[str, int]:
        """The rows of the tables that users fill."""
        return {table: rows for table, rows in self.rows.items() if table not in NOT_FILLED_BY_USERS}


@dataclass(frozen=True)
class Orders:
    """Orders that were accepted and not stored yet; None where nobody could say."""

    queued: int | None
    dead_letters: int | None
    in_gateway_store: int | None

    @property
    def waiting(self) -> int | None:
        """All that were on their way, if it is known."""
        if self.queued is None or self.in_gateway_store is None:
            return None
        return self.queued + self.in_gateway_store


@dataclass(frozen=True)
class Manifest:
    """A backup's description.

    Attributes:
        made_at: when it was begun, in UTC (ISO 8601).
        host: name of the machine.
        databases: the dumps.
        definitions: the broker's definitions; None where the broker did not answer.
        orders: orders on their way at that moment.
        encrypted_for: public key of age; None: not encrypted.
    """

    made_at: str
    host: str
    databases: tuple[DatabaseDump, ...]
    definitions: StoredFile | None
    orders: Orders
    encrypted_for: str | None
    format: int = field(default=FORMAT)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Every file but the manifest itself."""
        return self.databases + ((self.definitions,) if self.definitions else ())

    def to_json(self) -> str:
        """Write the manifest, with a checksum of itself."""
        values = asdict(self)
        return json.dumps(values | {"sha256": _digest(values)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read the manifest of a backup.

        Raises:
            BackupProblem: there is none, it was changed, or a newer program made it.
        """
        path = directory / NAME
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise BackupProblem(
                f"{directory} is no backup: it has no {NAME}. Give a directory that `make backup` made."
            ) from error
        except (OSError, ValueError) as error:
            raise BackupProblem(f"{path} cannot be read ({error}). {_TAKE_ANOTHER}") from error
        if not isinstance(values, dict):
            raise BackupProblem(f"{path} is no manifest of a backup. {_TAKE_ANOTHER}")
        checksum = values.pop("sha256", None)
        if checksum != _digest(values):
            raise BackupProblem(f"{path} was changed or damaged: its checksum is wrong. {_TAKE_ANOTHER}")
        if values["format"] != FORMAT:
            raise BackupProblem(
                f"{directory} has format {values['format']}, and this program reads format {FORMAT}: "
                "restore it with the version of the project that made it."
            )
        return cls._from_values(values)

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> Manifest:
        databases = tuple(DatabaseDump(**database) for database in values.pop("databases"))
        definitions = values.pop("definitions")
        return cls(
            databases=databases,
            definitions=StoredFile(**definitions) if definitions else None,
            orders=Orders(**values.pop("orders")),
            **values,
        )

    def dump_of(self, name: str) -> DatabaseDump:
        """Give the dump of a database.

        Raises:
            BackupProblem: the backup has none of it.
        """
        for dump in self.databases:
            if dump.name == name:
                return dump
        raise BackupProblem(
            f"The backup of {self.made_at} has no database {name}, only "
            f"{' and '.join(dump.name for dump in self.databases)}. Take another backup, or name one of "
            "these."
        )


def check_files(directory: Path, files: tuple[StoredFile, ...]) -> None:
    """Compare files with what their manifest says of them.

    Args:
        directory: the backup.
        files: those of its manifest that are to be compared.

    Raises:
        BackupProblem: a file is missing, cut off or changed.
    """
    for file in files:
        path = directory / file.file
        try:
            size = path.stat().st_size
            if size != file.bytes:
                raise BackupProblem(
                    f"{path} has {size} bytes instead of {file.bytes}: it was cut off or changed. "
                    f"{_TAKE_ANOTHER}"
                )
            checksum = digest_of(path)
        except OSError as error:
            raise BackupProblem(f"{path} cannot be read ({error.strerror}). {_TAKE_ANOTHER}") from error
        if checksum != file.sha256:
            raise BackupProblem(f"{path} was changed or damaged: its checksum is wrong. {_TAKE_ANOTHER}")


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


_TAKE_ANOTHER: Final = "Nothing was restored; take another copy, or an older backup."


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
