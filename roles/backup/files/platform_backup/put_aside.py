"""What becomes of the databases that restores have put aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from platform_backup import postgres
from platform_backup.names import kept, kept_name
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database
from platform_backup.store import size
from platform_backup.swap import swap


def undo(databases: Iterable[Database], progress: Callable[[str], None]) -> dict[str, Any]:
    """Put the databases of before the last restore back; those that are there now are put aside.

    Raises:
        BackupProblem: there is nothing to put back.
    """
    told = []
    for database in databases:
        before = kept(database, "restore")
        if before:
            aside = kept_name(database.name, "undo")
            swap(database, str(before[0]["name"]), aside, progress)
            told.append(
                f"{database.name} is what it was before the restore ({before[0]['name']}); what was "
                f"restored is kept as {aside}."
            )
    if not told:
        raise BackupProblem("No restore is there to be undone: no database of before one is kept.")
    return {"text": " ".join(told)}


def discard(databases: Iterable[Database], progress: Callable[[str], None]) -> dict[str, Any]:
    """Remove all databases that were put aside, for good."""
    told = []
    for database in databases:
        for item in kept(database):
            progress(f"{item['name']} is removed")
            postgres.query(database, f'DROP DATABASE IF EXISTS "{item["name"]}" WITH (FORCE)')
            told.append(f"{item['name']} ({size(int(str(item['bytes'])))})")
    return {
        "changed": bool(told),
        "text": f"Removed for good: {', '.join(told)}."
        if told
        else "No database of before a restore was kept.",
    }
