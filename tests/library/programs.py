"""Programs that tests run, and those that they put in the place of others."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


def attempt(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program without input to its end, whatever that is; one that hangs ends with its test."""
    return subprocess.run(
        command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def put_program(path: Path, *lines: str) -> None:
    """Write a shell script that can be run."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
