"""The route /idempotency-keys/KEY/CONTENT: which order came first under a key, for several gateways."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from flask import Blueprint, Response, jsonify
from sqlalchemy import Engine, text

from billing_app.tables import idempotency_keys
from platform_common.database import retry_once
from platform_common.orders import KEY_LIFETIME_SECONDS
from platform_common.problems import Problem
from platform_common.repository import Repository

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# One statement, so that PostgreSQL decides which of two gateways came first. Each claim also deletes some
# that have ended, faster than new ones come.
_CLAIM: Final = text("""
    WITH ended AS (
        DELETE FROM idempotency_keys WHERE key IN (
            SELECT key FROM idempotency_keys
            WHERE claimed_at <= now() - :lifetime AND key <> :key
            ORDER BY claimed_at LIMIT 10 FOR UPDATE SKIP LOCKED
        )
    )
    INSERT INTO idempotency_keys AS held (key, content) VALUES (:key, :content)
    ON CONFLICT (key) DO UPDATE SET
        content = CASE WHEN held.claimed_at <= now() - :lifetime THEN excluded.content ELSE held.content END,
        claimed_at = CASE WHEN held.claimed_at <= now() - :lifetime THEN now() ELSE held.claimed_at END
    RETURNING content
""")


class IdempotencyKeys(Repository):
    """The keys that gateways have claimed for an order in the last 24 hours."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, idempotency_keys)

    @retry_once
    def claim(self, key: bytes, content: bytes) -> bytes:
        """Record that `key` stands for the order with this content, unless it stands for another.

        Args:
            key: digest of the user and the key that they sent.
            content: digest of the order's content.

        Returns:
            The content that holds: this one, or the one that came first.
        """
        values = {"key": key, "content": content, "lifetime": timedelta(seconds=KEY_LIFETIME_SECONDS)}
        with self._engine.connect() as connection:
            return bytes(connection.execute(_CLAIM, values).scalar_one())


def make_idempotency_keys_blueprint(keys: IdempotencyKeys) -> Blueprint:
    """Return the route that gateways ask, and that no gateway lets in from outside."""
    blueprint = Blueprint("idempotency_keys", __name__, url_prefix="/idempotency-keys")

    @blueprint.put("/<key>/<content>")
    def claim(key: str, content: str) -> Response:
        if not _DIGEST.fullmatch(key) or not _DIGEST.fullmatch(content):
            raise Problem(400, "Bad Request", "Key and content must be digests of SHA-256, in hex.")
        held = keys.claim(bytes.fromhex(key), bytes.fromhex(content))
        return jsonify({"content": held.hex()})

    return blueprint
