"""What reads openapi.yaml as its users do: Node.js with npm packages, and a generator of Python clients."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
DIRECTORY: Final = ROOT / ".cache/openapi"
PINNED: Final = (ROOT / "requirements/openapi.txt", HERE / "package.json", HERE / "package-lock.json")


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program among the installed ones; fail with all that it said if it fails."""
    variables = os.environ | {
        "PATH": f"{DIRECTORY}/bin:{DIRECTORY}/node_modules/.bin:{os.environ['PATH']}",
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        **(environment or {}),
    }
    done = subprocess.run(command, cwd=DIRECTORY, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def install() -> None:
    """Install the pinned versions, if they are not there yet."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in PINNED)).hexdigest()
    stamp = DIRECTORY / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    requirements, *packages = PINNED
    run(sys.executable, "-m", "venv", DIRECTORY)
    run("pip", "install", "--quiet", "--require-hashes", "--requirement", requirements)
    for package in packages:
        shutil.copy(package, DIRECTORY)
    run("npm", "ci", "--no-audit", "--no-fund")
    stamp.write_text(digest)
