"""What stops a backup or a restore."""

from __future__ import annotations


class BackupProblem(Exception):
    """Something is not as it must be; the text is a sentence for the user, which says what to do."""
