"""The idempotency keys of all gateways: billing-app keeps them, in the database of orders."""

from __future__ import annotations

import json
import logging
import socket
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from api_gateway_app.metrics import KEYS_DECIDED_ALONE
from platform_common.request_context import REQUEST_ID_HEADER, request_id_var

ANSWER_SECONDS: Final = 3.0
# After an answer that did not come, nobody asks: whoever waits holds a thread that other orders need. In
# that time the proxy leaves out a billing-app that is not ready.
PAUSE_SECONDS: Final = 3.0
_logger = logging.getLogger(__name__)


class SharedKeys:
    """Asks billing-app which order came first under a key.

    Args:
        proxy: the socket where the proxy takes requests for billing-app; it chooses a replica that is ready.
    """

    def __init__(self, proxy: Path) -> None:
        self._proxy = proxy
        self._paused_until = 0.0

    def claim(self, key: bytes, content: bytes) -> bytes | None:
        """Record that `key` stands for the order with this content, unless it stands for another.

        Args:
            key: digest of the user and the key that they sent.
            content: digest of the order's content.

        Returns:
            The content that holds: this one, or the one that came first at any gateway. None where
            billing-app cannot say: orders are accepted without it, so the caller decides alone.
        """
        try:
            if time.monotonic() < self._paused_until:
                raise TimeoutError("billing-app did not answer a moment ago")
            return self._ask(key, content)
        except (OSError, HTTPException, ValueError, KeyError) as error:
            KEYS_DECIDED_ALONE.inc()
            _logger.warning("An idempotency key was compared at this gateway alone: %s", error)
            return None

    def _ask(self, key: bytes, content: bytes) -> bytes:
        connection = _UnixConnection(self._proxy)
        try:
            connection.request(
                "PUT",
                f"/idempotency-keys/{key.hex()}/{content.hex()}",
                headers={REQUEST_ID_HEADER: request_id_var.get()},
            )
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            raise TimeoutError(f"billing-app gave no answer within {ANSWER_SECONDS:.0f} s") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise HTTPException(f"billing-app gave status {answer.status}")
        return bytes.fromhex(json.loads(body)["content"])


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
