"""Names of databases beside the one that serves."""

from __future__ import annotations

import re
import time
from typing import Final

from platform_backup import postgres
from platform_backup.settings import Database

_KEPT: Final = r"_before_(restore|undo)_\d{14}"


def restoring_name(name: str) -> str:
    """Give the name of the database that is being restored."""
    return f"{name}_restoring"


def kept_name(name: str, reason: str) -> str:
    """Give a new name for the database that is put aside.

    Args:
        name: of the database that serves.
        reason: what it was put aside for: `restore` or `undo`.
    """
    return f"{name}_before_{reason}_{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"


def kept(database: Database, reason: str = "") -> list[dict[str, object]]:
    """List the databases that were put aside, the newest first: name and bytes.

    Args:
        database: the one that serves.
        reason: only those that were put aside for it; empty: all.
    """
    found = postgres.query(
        database,
        "SELECT json_agg(json_build_object('name', datname, 'bytes', pg_database_size(oid))) "
        f"FROM pg_database WHERE datname ~ '^{re.escape(database.name)}{_KEPT}$'",
    )
    chosen = [item for item in found or [] if f"_before_{reason}" in item["name"]]
    return sorted(chosen, key=lambda item: item["name"].rpartition("_")[2], reverse=True)
