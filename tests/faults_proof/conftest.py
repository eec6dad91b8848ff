"""What these tests share with the fault suite, and platforms that are weaker than they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.faults.conftest import platform, say
from tests.library.settings import ENV_FILE, ROOT

__all__ = ["platform", "say"]

WEAKNESSES: Final = Path(__file__).parent / "weaknesses"
Weaken = Callable[[str], None]


@pytest.fixture(scope="module")
def weaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaken]:
    """Gives what lets the platform run from sources to which a patch was applied, until the next one.

    The patched copy is built like the platform itself; nothing of it is in the real images. After
    the last test of the module the platform is as it was.
    """

    def build(weakness: str) -> None:
        copy = tmp_path_factory.mktemp(weakness)
        shutil.copytree(ROOT / "srcs", copy / "srcs")
        # A patch that does not apply any more is an error here: its line has changed, so must the patch.
        apply = ["git", "apply", str(WEAKNESSES / f"{weakness}.patch")]
        subprocess.run(apply, cwd=copy, check=True, env=os.environ | {"GIT_CEILING_DIRECTORIES": "/"})
        _deploy("-e", f"container_build_root={copy / 'srcs'}")

    yield build
    _deploy()


def _deploy(*arguments: str) -> None:
    inventory = os.environ.get("PLATFORM_INVENTORY", str(ROOT / "inventory.ini"))
    command = ["ansible-playbook", "--inventory", inventory, "site.yml", *arguments]
    command += ["-e", f"platform_env_file={ENV_FILE.resolve()}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
