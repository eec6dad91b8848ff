"""Where the proxy and the Flask application beside it meet."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Where the proxy and the application meet, in the temporary directory."""

    directory: Path

    @property
    def application(self) -> Path:
        """The socket where the Flask application listens."""
        return self.directory / "application.sock"

    @property
    def control(self) -> Path:
        """The socket where HAProxy takes commands."""
        return self.directory / "proxy.sock"

    @property
    def billing(self) -> Path:
        """The socket where HAProxy takes requests of the application for billing-app."""
        return self.directory / "billing.sock"

    @property
    def feed(self) -> Path:
        """The socket where the page's feed is served."""
        return self.directory / "feed.sock"

    @property
    def token_map(self) -> Path:
        """The map with the token's state."""
        return self.directory / "token.map"


def paths() -> Paths:
    """Return the paths of this container."""
    return Paths(Path(tempfile.gettempdir()))
