"""The directory with the backups of this machine."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from platform_backup.manifest import NAME
from platform_backup.problem import BackupProblem

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
_PARTIAL: Final = ".partial"
_DAY_SECONDS: Final = 86_400


class Store:
    """Backups by their date, such as 2026-11-24T124500Z; a name that is there is a complete backup."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self) -> list[str]:
        """List the complete backups, the newest first."""
        if not self.directory.is_dir():
            return []
        found = (path.name for path in self.directory.iterdir() if (path / NAME).is_file())
        return sorted((name for name in found if _DATE.fullmatch(name)), reverse=True)

    def path(self, name: str) -> Path:
        """Give the directory of a complete backup.

        Raises:
            BackupProblem: there is none of this name.
        """
        names = self.names()
        if name not in names:
            there = f"It has {', '.join(names)}." if names else "It has none: `make backup` makes one."
            raise BackupProblem(f"There is no backup {name} in {self.directory}. {there}")
        return self.directory / name

    @contextmanager
    def new(self) -> Iterator[tuple[str, Path]]:
        """Give a date and a directory to fill, which gets the date as its name at the end of the `with`.

        Where the `with` ends with an error, nothing is left. What a power cut has left is removed.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self.clear()
        name = self._free_name()
        partial = self.directory / (name + _PARTIAL)
        partial.mkdir(mode=0o700)
        try:
            yield name, partial
            _synchronise(partial)
            partial.rename(self.directory / name)
            _synchronise(self.directory)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def clear(self) -> None:
        """Remove what a run that was killed has left."""
        for path in self.directory.glob("*" + _PARTIAL):
            shutil.rmtree(path)

    def prune(self, keep: int, keep_days: int) -> list[str]:
        """Remove old backups, and give their names.

        The newest one is never removed. Call it after a backup that succeeded, which is then the newest.

        Args:
            keep: so many stay, the newest ones.
            keep_days: and those that are not older than so many days.
        """
        oldest = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(time.time() - keep_days * _DAY_SECONDS))
        old = [name for name in self.names()[max(keep, 1) :] if name < oldest]
        for name in old:
            # Renamed first: half a backup never has the name of a whole one.
            doomed = self.directory / (name + _PARTIAL)
            (self.directory / name).rename(doomed)
            shutil.rmtree(doomed)
        return old

    def _free_name(self) -> str:
        while True:
            name = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
            if not (self.directory / name).exists():
                return name
            time.sleep(0.1)


def require_space(directory: Path, wanted: int, reserve: int, what: str) -> None:
    """Check that a disk has room.

    Args:
        directory: a directory on the disk.
        wanted: bytes that will be written at most.
        reserve: bytes that must be left then.
        what: what needs the room, as the beginning of a sentence.

    Raises:
        BackupProblem: there is less.
    """
    free = shutil.disk_usage(directory).free
    if free < wanted + reserve:
        raise BackupProblem(
            f"{what} needs up to {size(wanted)} in {directory}, where {size(free)} are free and "
            f"{size(reserve)} must stay free. Make room there, or remove old backups."
        )


def counted(number: int, noun: str) -> str:
    """Write a number of things: `1 row`, `3 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def _synchronise(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
