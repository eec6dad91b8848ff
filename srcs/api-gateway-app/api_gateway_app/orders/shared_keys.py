"""The idempotency keys of all gateways: billing-app keeps them, in the database of orders."""

from __future__ import annotations

import json
import logging
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from api_gateway_app.metrics import KEYS_DECIDED_ALONE

# A database that hangs is not waited for: the proxy leaves a billing-app out that is not ready.
ANSWER_SECONDS: Final = 3.0
_logger = logging.getLogger(__name__)


class SharedKeys:
    """Asks billing-app which order came first under a key.

    Args:
        proxy: the socket where the proxy takes requests for billing-app; it chooses a replica that is ready.
    """

    def __init__(self, proxy: Path) -> None:
        self._proxy = proxy

    def claim(self, key: bytes, content: bytes) -> bytes | None:
        """Record that `key` stands for the order with this content, unless it stands for another.

        Args:
            key: digest of the user and the key that they sent.
            content: digest of the order's content.

        Returns:
            The content that holds: this one, or the one that came first at any gateway. None where
            billing-app cannot say: orders are accepted without it, so the caller decides alone.
        """
        connection = _UnixConnection(self._proxy)
        try:
            connection.request("PUT", f"/idempotency-keys/{key.hex()}/{content.hex()}")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            reason = f"no answer ({error})"
        else:
            if answer.status == 200:
                return bytes.fromhex(json.loads(body)["content"])
            reason = f"status {answer.status}"
        finally:
            connection.close()
        KEYS_DECIDED_ALONE.inc()
        _logger.warning("An idempotency key was compared at this gateway alone: billing-app gave %s", reason)
        return None


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("billing-app", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
