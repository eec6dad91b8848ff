"""The page's files, as they go over the wire: read and compressed once, at the start of a worker."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIRECTORY: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page: its content, the same compressed, and its media type."""

    content: bytes
    compressed: bytes
    media_type: str


class PageFiles:
    """All files of the page, by their path below `static/`.

    Attributes:
        version: changes with every byte of them; part of their addresses, so a browser may keep them.
        home: index.html, which names the version.
    """

    def __init__(self, directory: Path = _DIRECTORY) -> None:
        contents = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.suffix in _TYPES
        }
        digest = hashlib.sha256(b"".join(name.encode() + content for name, content in contents.items()))
        self.version = digest.hexdigest()[:12]
        home = contents.pop("index.html").replace(b"{version}", self.version.encode())
        self.home = _prepare("index.html", home)
        self._files = {name: _prepare(name, content) for name, content in contents.items()}

    def get(self, name: str) -> PageFile | None:
        """Return a file, None if there is none of that name."""
        return self._files.get(name)


def _prepare(name: str, content: bytes) -> PageFile:
    return PageFile(content, gzip.compress(content, 9, mtime=0), _TYPES[Path(name).suffix])
