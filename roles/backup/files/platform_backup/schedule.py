"""What the systemd timer has done."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

UNIT: Final = "play-with-containers-backup.service"


def last_failed() -> bool:
    """Say whether the last scheduled backup failed; no on a machine without systemd."""
    if shutil.which("systemctl") is None:
        return False
    return subprocess.run(["systemctl", "is-failed", "--quiet", UNIT], check=False).returncode == 0
