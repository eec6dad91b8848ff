"""Filters that say which moments of a database can be restored from its archive."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError

NOT_FILLED_BY_USERS = {"public.alembic_version", "public.idempotency_keys"}


def archive_is_of_the_server(document: Mapping[str, Any]) -> bool:
    """Say whether an archive holds the data that its server serves; an empty one is anybody's.

    Args:
        document: what `archive-status` prints.
    """
    databases = _stanza(document).get("db", [])
    server = document["server"]
    return not databases or server is None or str(databases[-1]["system-id"]) == server["system"]


def restorable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what can be restored. Moments are in seconds since 1970; None where nothing can be.

    `oldest` and `newest` bound the moments, `backups` are those that lead there, the oldest first.
    `failing_since` is when archiving failed, where it has not succeeded since; `waiting` counts the WAL files
    that are not archived.

    Args:
        document: what `archive-status` prints.
    """
    server = document["server"]
    own = archive_is_of_the_server(document)
    backups = [
        backup
        for backup in _stanza(document).get("backup", [])
        if not backup.get("error")
        and backup["database"]["id"] == _stanza(document)["db"][-1]["id"]
        # What the server does not serve has no part in its rows of WAL files and its branches.
        and (not own or server is None or _leads_to(backup, server))
        and (not own or backup["timestamp"]["start"] >= (document["since"] or 0))
    ]
    failed = server and server["failed_at"]
    archived = server and server["archived_at"]
    newest = max(
        [backup["timestamp"]["stop"] for backup in backups]
        + [server["archived"] or 0 if server and own else 0]
    )
    return {
        "oldest": backups[0]["timestamp"]["stop"] if backups else None,
        "newest": newest if backups else None,
        "backups": [
            {
                "label": backup["label"],
                "stop": backup["timestamp"]["stop"],
                "bytes": backup["info"]["size"],
                "timeline": int(backup["archive"]["stop"][:8], 16),
            }
            for backup in backups
        ],
        "failing_since": failed if failed and failed > (archived or 0) else None,
        "waiting": server["waiting"] if server else None,
    }


def backup_before(backups: Sequence[Mapping[str, Any]], moment: float) -> Mapping[str, Any]:
    """Give the newest of the backups that `restorable` lists which was complete at a moment."""
    return [backup for backup in backups if backup["stop"] <= moment][-1]


def moment(text: str) -> dict[str, Any]:
    """Read a moment as a person writes it; "latest" is all that was archived.

    Returns:
        `seconds` since 1970, `utc`, the same as PostgreSQL and pgBackRest read it, and `text` for people.

    Raises:
        AnsibleFilterError: it is no date and time with a time zone.
    """
    if text.strip() == "latest":
        return {
            "seconds": datetime.now(UTC).timestamp(),
            "utc": "latest",
            "text": "the latest that was archived",
        }
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise AnsibleFilterError(
            f"TIME is {text or 'missing'}: write date, time and time zone, such as "
            "TIME='2026-11-24 12:00:00+00'; or latest."
        )
    seconds = parsed.timestamp()
    utc = parsed.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return {"seconds": seconds, "utc": utc, "text": moment_text(seconds)}


def moment_text(seconds: float) -> str:
    """Write seconds since 1970 as a moment that `moment` reads, rounded down to a second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def archive_summary(answer: str | None) -> dict[str, Any] | None:
    """Describe for a status what can be restored. Moments are in ISO 8601; None where there is none.

    Args:
        answer: what `archive-status` prints; empty where the container does not answer, None where the
            archive is off.
    """
    if answer is None:
        return None
    if not answer:
        return {"oldest": None, "newest": None, "failing_since": None, "waiting": None, "backups": None}
    found = restorable(json.loads(answer))
    moments = {name: found[name] for name in ("oldest", "newest", "failing_since")}
    return {
        **{name: None if seconds is None else moment_text(seconds) for name, seconds in moments.items()},
        "waiting": found["waiting"],
        "backups": len(found["backups"]),
    }


def archives_text(archives: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Write for a status from when to when databases can be restored.

    Args:
        archives: name of each database's container to its `archive_summary`.
    """
    return "\n".join(f"restorable: {name} {_summary_text(name, found)}" for name, found in archives.items())


def _summary_text(name: str, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "only from backups (its archive is off)"
    if found["backups"] is None:
        return "does not say"
    text = f"from {found['oldest']} to {found['newest']}" if found["oldest"] else "not yet"
    if found["failing_since"]:
        text += (
            f"; ARCHIVING FAILS since {found['failing_since']}, {found['waiting']} WAL files wait "
            f"(`make logs SERVICE={name}` says why)"
        )
    return text


def rows_compared(served: Mapping[str, Any], restored: Mapping[str, Any]) -> str:
    """Write what a change from one database to another does to its rows.

    Args:
        served: what `row-counts` prints about the one that is served.
        restored: the same about the one that takes its place.
    """
    tables = {**served["rows"], **restored["rows"]}
    text = "; ".join(
        f"{table.removeprefix('public.')}: {_rows(served['rows'].get(table, 0))} before, "
        f"{restored['rows'].get(table, 0)} after"
        for table in sorted(tables)
        if table not in NOT_FILLED_BY_USERS
    )
    for table, later in sorted(served["later"].items()):
        name = table.removeprefix("public.")
        text += f"; {_stored(later, name)} after that moment and {_are(later)} not in it"
    return f"{text or 'There are no tables'}."


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"


def _stored(number: int, table: str) -> str:
    return f"{_rows(number)} of {table} {'was' if number == 1 else 'were'} stored"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def rows_since(counted: Mapping[str, Any]) -> str:
    """Write how many rows came since the moment that `row-counts` was asked for."""
    return " ".join(
        f"{_stored(later, table.removeprefix('public.'))} since and {_are(later)} not in it."
        for table, later in sorted(counted["later"].items())
    )


def _stanza(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((stanza for stanza in document["repository"] if stanza.get("db")), {})


def _leads_to(backup: Mapping[str, Any], server: Mapping[str, Any]) -> bool:
    """Say whether a backup lies on the line that the server has come: a restore leaves a branch behind.

    A history file has a line for each timeline that was left: its number, and the position where it was.
    Source: https://www.postgresql.org/docs/15/continuous-archiving.html#BACKUP-TIMELINES
    """
    timeline = int(backup["archive"]["stop"][:8], 16)
    if timeline == server["timeline"]:
        return True
    left = {
        int(found[1]): _position(found[2])
        for found in re.finditer(r"^(\d+)\s+([0-9A-F]+/[0-9A-F]+)", server["history"] or "", re.MULTILINE)
    }
    return timeline in left and _position(backup["lsn"]["stop"]) <= left[timeline]


def _position(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "archive_is_of_the_server": archive_is_of_the_server,
            "restorable": restorable,
            "archive_summary": archive_summary,
            "archives_text": archives_text,
            "backup_before": backup_before,
            "rows_compared": rows_compared,
            "rows_since": rows_since,
            "moment": moment,
            "moment_text": moment_text,
        }
