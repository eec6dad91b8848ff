"""What the machine is told: the file that the role `backup` writes. It holds no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from platform_backup.problem import BackupProblem

SETTINGS_FILE: Final = Path("/etc/play-with-containers/backup.json")


@dataclass(frozen=True)
class Database:
    """A database in a container, and the accounts that matter here.

    `administrator`: superuser on the container's local socket. `owner`: account of the migrations.
    """

    name: str
    container: str
    port: int
    administrator: str
    owner: str


@dataclass(frozen=True)
class Settings:
    """Where everything is, and how much is kept.

    Attributes:
        directory: where the backups lie on this machine.
        databases: what is backed up.
        broker: container of RabbitMQ.
        queue: name of the queue of orders.
        dead_letter_queue: name of the queue of what is no order.
        gateway: container of the gateway, or its service on a Swarm.
        keep: so many backups are kept, the newest ones.
        keep_days: and those that are not older than so many days.
        recipient: public key of age that backups are encrypted for; empty: not encrypted.
        reserve_bytes: so much of a disk is left free for the databases.
        limit_seconds: a backup or restore that takes longer is ended.
        work_percent: so much of the time a backup works, and rests in between.
    """

    directory: Path
    databases: tuple[Database, ...]
    broker: str
    queue: str
    dead_letter_queue: str
    gateway: str
    keep: int
    keep_days: int
    recipient: str
    reserve_bytes: int
    limit_seconds: int
    work_percent: int

    @classmethod
    def read(cls, path: Path = SETTINGS_FILE) -> Settings:
        """Read the settings.

        Raises:
            BackupProblem: the file is missing or not what the role writes.
        """
        try:
            values = json.loads(path.read_text())
            databases = tuple(Database(**database) for database in values.pop("databases"))
            return cls(directory=Path(values.pop("directory")), databases=databases, **values)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BackupProblem(
                f"{path} cannot be used ({error}): `ansible-playbook site.yml` writes it anew."
            ) from error

    def named(self, names: list[str]) -> tuple[Database, ...]:
        """Give the databases with these names; all where none is named.

        Raises:
            BackupProblem: there is no such database.
        """
        known = {database.name: database for database in self.databases}
        if unknown := [name for name in names if name not in known]:
            raise BackupProblem(f"There is no database {unknown[0]}: use {' or '.join(known)}.")
        return tuple(known[name] for name in names) if names else self.databases
