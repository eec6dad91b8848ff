"""A backup that a user may read while it is copied: Ansible streams a file only without root's rights."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from platform_backup.store import Store


def outgoing(store: Store) -> Path:
    """Give the directory in which a backup is offered: beside the backups, on the same disk."""
    return store.directory.with_name(store.directory.name + "-outgoing")


def share(store: Store, name: str, user: str) -> Path:
    """Offer a backup to a user, and give the directory that has it.

    Its files have two names then, and take no more room.
    """
    unshare(store)
    account = pwd.getpwnam(user)
    directory = outgoing(store)
    directory.mkdir(mode=0o700)
    for path in store.path(name).iterdir():
        os.link(path, directory / path.name)
        os.chown(directory / path.name, account.pw_uid, account.pw_gid)
    os.chown(directory, account.pw_uid, account.pw_gid)
    return directory


def unshare(store: Store) -> None:
    """Take back what was offered."""
    for name in store.names():
        for path in store.path(name).iterdir():
            os.chown(path, 0, 0)
    if outgoing(store).exists():
        shutil.rmtree(outgoing(store))
