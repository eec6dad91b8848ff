"""One database takes the place of another, in one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from platform_backup import postgres
from platform_backup.containers import APPLICATION
from platform_backup.problem import BackupProblem
from platform_backup.settings import Database

_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 0.1


def swap(database: Database, new: str, kept: str, progress: Callable[[str], None]) -> None:
    """Let a database take the place of the one that serves, whose sessions are ended.

    Args:
        database: the one that serves.
        new: name of the one that is to serve.
        kept: name under which the old one is put aside; nobody may connect to it then.
        progress: is told what is being done.

    Raises:
        BackupProblem: it did not work; both have their names still.
    """
    progress(f"{database.name}: the names are swapped")
    rename = (
        f'BEGIN; ALTER DATABASE "{database.name}" RENAME TO "{kept}"; '
        f'ALTER DATABASE "{new}" RENAME TO "{database.name}"; '
        f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true; '
        f'ALTER DATABASE "{kept}" ALLOW_CONNECTIONS false; COMMIT;'
    )
    old = postgres.query(database, f"SELECT to_json(oid) FROM pg_database WHERE datname = '{database.name}'")
    deadline = time.monotonic() + _SECONDS
    while True:
        with postgres.session(database, "template1", idle_seconds=postgres.LOCK_SECONDS) as session:
            # It locks the old database, so that nobody new comes in, and waits for those inside to leave.
            session.send(rename)
            _end_sessions(database, old)
            try:
                session.answer(_SECONDS)
            except BackupProblem as problem:
                if "is being accessed by other users" not in str(problem) or time.monotonic() >= deadline:
                    raise
            else:
                return
        time.sleep(_AGAIN_SECONDS)


def _end_sessions(database: Database, old: str) -> None:
    """End all sessions once nobody new can come in; last those of ours, which keep writes away until then.

    Args:
        database: the one that serves.
        old: its oid: another one may have its name already, where nobody had to be waited for.
    """
    ours = f"application_name = '{APPLICATION}'"
    locked = (
        "SELECT FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass "
        f"AND objid = {old} AND mode = 'AccessExclusiveLock' AND granted"
    )
    postgres.query(
        database,
        f"""DO $$ BEGIN
            FOR attempt IN 1..100 LOOP
                EXIT WHEN EXISTS ({locked})
                    OR EXISTS (SELECT FROM pg_database WHERE oid = {old} AND datname <> '{database.name}');
                PERFORM pg_sleep(0.05);
            END LOOP;
            PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datid = {old} AND NOT {ours};
            -- Within a transaction it is the same view for all statements, if it is not asked for anew.
            PERFORM pg_stat_clear_snapshot();
            IF EXISTS ({locked})
                AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datid = {old} AND NOT {ours})
            THEN
                PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datid = {old};
            END IF;
        END $$""",
    )
