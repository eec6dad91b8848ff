"""Answers that are not in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator


class Download(Iterator[bytes]):
    """A large answer, taken part by part as the client reads it, and closed once.

    Attributes:
        waits: whether taking the next part can take time, and so needs a thread.
    """

    waits: bool = False

    @abstractmethod
    def close(self) -> None:
        """Free everything, whether the client got all of it or not."""
