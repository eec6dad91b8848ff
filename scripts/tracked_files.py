"""Lists the repository's files as git sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def tracked_files(root: Path) -> list[str]:
    """Give the paths, relative to `root`, of all files that are tracked or could be added (not ignored).

    Raises: subprocess.CalledProcessError when `root` is in no git repository.
    """
    listed = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={root}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    names = sorted(set(listed.split("\0")) - {""})
    # A file may be deleted and not yet staged; a link is checked where it points to.
    return [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]
