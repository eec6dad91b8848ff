"""Backups as an operator makes them, and the rows that they are compared with."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.node.node import Node
from tests.operations.operator import Operator, Result

ON_THE_MACHINE: Final = "/var/backups/play-with-containers"
DATABASES: Final = {
    "movies": ("inventory-database", "movies", "id"),
    "orders": ("billing-database", "orders", "order_id"),
}


class Backups:
    """Makes backups and restores them.

    Attributes:
        copies: folder of this computer with the copies, one folder for each machine.
    """

    def __init__(self, operator: Operator, node: Node, env: Mapping[str, str], copies: Path) -> None:
        self._operator = operator
        self._node = node
        self._administrator = env["POSTGRES_USER"]
        self.copies = copies
        self.said = ""

    def make(self, **variables: Any) -> Path:
        """Make a backup, and give the copy on this computer; `said` is what was reported."""
        before = set(self.copies.glob("*/*"))
        result = self._operator.run("ansible/backup.yml", **self._with_copies(variables))
        self.said = result.text
        (made,) = set(self.copies.glob("*/*")) - before
        return made

    def fails(self, *mentions: str, **variables: Any) -> Result:
        """Try to make a backup, which must fail with a sentence that mentions these texts."""
        return self._operator.refused("ansible/backup.yml", *mentions, **self._with_copies(variables))

    def restore(self, source: Path | str, **variables: Any) -> Result:
        """Restore a backup."""
        return self._operator.run("ansible/restore.yml", operate_from=str(source), confirm="yes", **variables)

    def refused(self, source: Path | str, *mentions: str, **variables: Any) -> None:
        """Try to restore a backup, which must be refused before anything is touched."""
        before = self.state()
        self._operator.refused(
            "ansible/restore.yml", *mentions, operate_from=str(source), confirm="yes", **variables
        )
        assert self.state() == before

    def undo(self) -> Result:
        """Put back what was before the last restore."""
        return self._operator.run("ansible/restore_undo.yml", confirm="yes")

    def discard(self) -> Result:
        """Remove what restores have kept."""
        return self._operator.run("ansible/restore_discard.yml", confirm="yes")

    def rows(self, database: str) -> dict[str, str]:
        """Give every row of a database's table as text, by its key."""
        container, table, key = DATABASES[database]
        # One line for each row: Python need not hold one document of them all.
        query = f"SELECT json_build_array({key}, {table}::text) FROM {table}"  # noqa: S608
        answer = self._node.packed(f'{self._psql(container, database)} -c "{query}"')
        # Not splitlines: it also splits at U+0085 and U+2028, which may stand in a text.
        return {str(key): row for key, row in map(json.loads, filter(None, answer.split("\n")))}

    def execute(self, database: str, statement: str, *, name: str = "template1") -> None:
        """Run a statement as the administrator.

        Args:
            database: movies or orders; says which server.
            statement: what is run.
            name: the database to connect to.
        """
        encoded = base64.b64encode(statement.encode()).decode()
        self._node.run(f"echo {encoded} | base64 -d | {self._psql(DATABASES[database][0], name)}")

    def kept(self, database: str) -> list[str]:
        """List the clusters on a database's volume that are not the one that is served."""
        found = self._node.run(f"ls {self._volume(database)}").split()
        served = self.served(database)
        return [name for name in found if name.startswith(("main", "restored-")) and name != served]

    def served(self, database: str) -> str:
        """Name the cluster on a database's volume that is served."""
        return self._node.run(f"readlink {self._volume(database)}/current-* || echo main").strip()

    def _volume(self, database: str) -> str:
        return f"$(docker volume inspect -f '{{{{.Mountpoint}}}}' {DATABASES[database][0]})"

    def unfinished(self) -> list[str]:
        """List what half a backup or half a restore would leave."""
        return self._node.run(
            f"find {ON_THE_MACHINE} {ON_THE_MACHINE}-outgoing -mindepth 1 -maxdepth 1 "
            "\\( -name '*.partial' -o -name incoming -o -path '*outgoing*' \\) 2>/dev/null || true; "
            "docker ps --all --format '{{.Names}}' --filter name=-restore$; "
            "docker volume ls --quiet --filter name=-restore$"
        ).split()

    def on_the_machine(self, directory: str = ON_THE_MACHINE) -> list[str]:
        """List the machine's backups, the oldest first."""
        return sorted(self._node.run(f"ls {directory} 2>/dev/null || true").split())

    def _with_copies(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        return {"backup_local_directory": str(self.copies), **variables}

    def state(self) -> object:
        """Give what a restore would change: when each container started, and what is on the volumes."""
        names = ("billing-app", "inventory-app", *(container for container, *_ in DATABASES.values()))
        return (
            {name: item["State"]["StartedAt"] for name, item in self._node.inspect(*names).items()},
            {database: self.kept(database) for database in DATABASES},
            self.unfinished(),
        )

    def _psql(self, container: str, name: str) -> str:
        return (
            f"docker exec -i {container} psql --no-psqlrc -v ON_ERROR_STOP=1 -qAt -h /run/postgresql "
            f"-U {self._administrator} -d {name}"
        )


def damaged_copy(backup: Path, target: Path) -> Path:
    """Copy a backup, to damage the copy."""
    shutil.copytree(backup, target)
    return target


def flip_bit(path: Path, position: int) -> None:
    """Turn over one bit of a file."""
    with path.open("r+b") as stream:
        stream.seek(position)
        (byte,) = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte ^ 1]))


def rewrite(backup: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, and give it the right checksum: somebody did it on purpose."""
    path = backup / "manifest.json"
    values = json.loads(path.read_text())
    del values["sha256"]
    change(values)
    values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(values))
