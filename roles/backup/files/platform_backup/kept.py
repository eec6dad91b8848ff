"""What restores and upgrades have kept: on a database's volume, a cluster beside the one that is served."""

from __future__ import annotations

import subprocess
from pathlib import Path

from platform_backup.settings import Database


def kept(database: Database) -> list[dict[str, object]]:
    """Give what is kept of a database, if anything is: name and bytes."""
    volume = subprocess.run(
        ["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", database.container],
        capture_output=True,
        text=True,
        check=False,
    )
    # Without an engine or the volume, nothing is kept.
    return [] if volume.returncode else kept_on(Path(volume.stdout.strip()), database.name)


def kept_on(volume: Path, name: str) -> list[dict[str, object]]:
    """Give what is kept of a database on its volume: see srcs/postgres/cluster.sh for the links."""
    previous = volume / "previous"
    # Between the two links of a change, both name the same.
    if not previous.is_dir() or previous.readlink() in [link.readlink() for link in volume.glob("current-*")]:
        return []
    files = previous.resolve().rglob("*")
    return [{"name": name, "bytes": sum(file.lstat().st_blocks * 512 for file in files)}]
