"""What the tests of a running platform are told through the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from env_file import load

ROOT: Final = Path(__file__).parents[2]


def _url(variable: str, port: int) -> str:
    """Takes an address from the environment, or where Docker published the port of the node PLATFORM_NODE."""
    address = f"localhost:{port}"
    if node := os.environ.get("PLATFORM_NODE"):
        published = subprocess.run(
            ["docker", "port", node, str(port)], check=True, capture_output=True, text=True
        )
        address = published.stdout.splitlines()[0]
    return os.environ.get(variable, f"http://{address}").rstrip("/")


def gateway_url() -> str:
    """Where the gateway is now: a node that was restarted may have got another port."""
    return _url("PLATFORM_URL", 3000)


def management_url() -> str:
    """Where the broker's management page is now."""
    return _url("PLATFORM_MANAGEMENT_URL", 15672)


PLATFORM_URL: Final = gateway_url()
MANAGEMENT_URL: Final = management_url()

MANAGEMENT_ADDRESS: Final = os.environ.get("PLATFORM_MANAGEMENT_ADDRESS", "127.0.0.1")
"""The node's address of the management page: `platform_management_address` of the inventory."""

ENV_FILE: Final = Path(os.environ.get("PLATFORM_ENV_FILE", ROOT / ".env"))

DEBIAN: Final = os.environ.get("PLATFORM_DEBIAN", "12")
"""The release of Debian that the images are of: 13 where base_image_suite is trixie."""

PATIENCE: Final = float(os.environ.get("PLATFORM_PATIENCE", "1"))
"""Multiplies how long a condition is waited for; more for a slow machine (an emulated one: 10)."""


class Secrets(dict[str, str]):
    """The content of a `.env`. A test that fails shows its arguments: these are not shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} values of a .env>"


def load_env(path: Path) -> Secrets:
    """Read the installation's `.env`; raises env_file.EnvFileError when it is wrong."""
    return Secrets(load(path))
