"""What these tests share with the fault suite, and platforms that are weaker than they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.faults.conftest import platform, say
from tests.settings import ENV_FILE, ROOT

__all__ = ["platform", "say"]

WEAKNESSES: Final = Path(__file__).parent / "weaknesses"
Weaken = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def weakened(tmp_path: Path, say: Callable[[str], None]) -> Weaken:
    """Gives the context in which the platform runs from sources to which a patch was applied.

    The patched copy is built like the platform itself; nothing of it is in the real images.
    """

    @contextmanager
    def platform_with(weakness: str) -> Iterator[None]:
        sources = tmp_path / "srcs"
        shutil.copytree(ROOT / "srcs", sources)
        # A patch that does not apply any more is an error here: its line has changed, so must the patch.
        apply = ["git", "apply", str(WEAKNESSES / f"{weakness}.patch")]
        subprocess.run(apply, cwd=tmp_path, check=True, env=os.environ | {"GIT_CEILING_DIRECTORIES": "/"})
        say(f"building the platform with: {weakness}")
        try:
            _deploy("-e", f"container_build_root={sources}")
            yield
        finally:
            _deploy()

    return platform_with


def _deploy(*arguments: str) -> None:
    inventory = os.environ.get("PLATFORM_INVENTORY", str(ROOT / "inventory.ini"))
    command = ["ansible-playbook", "--inventory", inventory, "site.yml", *arguments]
    command += ["-e", f"platform_env_file={ENV_FILE.resolve()}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
