"""Moving a message that is no order to the dead letters, with the reason, so that it cannot get lost."""

from __future__ import annotations

import logging
import struct
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, UnsupportedAMQPFieldException

from billing_app.judge import Rejection
from platform_common.broker import BrokerSettings

BLOCKED_SECONDS: Final = 5
HEARTBEAT_SECONDS: Final = 8
# A message's properties must fit into one frame, of 128 KiB by default.
MAXIMUM_PROPERTIES_BYTES: Final = 100 * 1024
MAXIMUM_REASON_CHARACTERS: Final = 1000
# These mean something to the broker: routing further copies, or its own count.
_BROKER_HEADERS: Final = frozenset({"CC", "BCC", "x-delivery-count"})
_logger = logging.getLogger(__name__)


class DeadLetters:
    """Publishes to the dead-letter exchange, with confirms.

    It has a connection of its own: a broker short of memory stops reading from connections that
    publish, and acknowledgements must not wait behind that. It opens with the first dead letter.
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None

    def publish(
        self, body: bytes, properties: pika.BasicProperties, rejection: Rejection, new_id: uuid.UUID
    ) -> None:
        """Publish a dead letter; when this returns, the broker has it in a queue.

        Args:
            body: the original's body.
            properties: the original's properties.
            rejection: why; goes into the headers `reason` and `reason_code`.
            new_id: becomes its message id where it has none, so that it is one order however often it
                is put back.

        Raises:
            AMQPError, OSError, SettingsError: the broker does not have it.
        """
        try:
            self._open_channel().basic_publish(
                self._settings.dead_letter_exchange,
                routing_key=self._settings.queue,
                body=body,
                properties=dead_letter_properties(properties, rejection, new_id),
                mandatory=True,
            )
        except (AMQPError, OSError):
            self.close()
            raise

    def keep_alive(self) -> None:
        """Let the connection, if there is one, send its heartbeats; called every few seconds."""
        if self._connection is None:
            return
        try:
            self._connection.process_data_events(0)
        except (AMQPError, OSError) as error:
            _logger.info("the dead letters' connection was lost: %r", error)
            self.close()

    def close(self) -> None:
        """Close the connection; the next publish opens another."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except (AMQPError, OSError) as error:
                _logger.info("the dead letters' connection did not close cleanly: %r", error)

    def _open_channel(self) -> BlockingChannel:
        if self._channel is None or not self._channel.is_open:
            self.close()
            self._connection = pika.BlockingConnection(
                self._settings.connection_parameters(
                    "billing-app dead letters", heartbeat=HEARTBEAT_SECONDS, blocked_seconds=BLOCKED_SECONDS
                )
            )
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel


def dead_letter_properties(
    original: pika.BasicProperties, rejection: Rejection, new_id: uuid.UUID
) -> pika.BasicProperties:
    """Return the original's properties, with the reason, the time and the dead letter's id among the headers.

    Left out are those by which the broker would refuse, lose or multiply the message: user_id
    (must be the publisher's), expiration, and some headers.
    """
    headers = original.headers or {}
    ours: dict[str, Any] = {
        "reason": rejection.reason[:MAXIMUM_REASON_CHARACTERS],
        "reason_code": rejection.code,
        "dead_letter_id": str(uuid.uuid4()),
        "dead_letter_time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if isinstance(retries := headers.get("retries"), int):
        ours["retries"] = retries
    kept = {name: value for name, value in headers.items() if name not in _BROKER_HEADERS}
    properties = copied_properties(original, {**kept, **ours})
    if not _fits(properties):
        properties = copied_properties(original, ours)
    properties.message_id = original.message_id or str(new_id)
    return properties


def copied_properties(original: pika.BasicProperties, headers: dict[str, Any]) -> pika.BasicProperties:
    """Return the properties that a message keeps when it is published again, persistent, with `headers`."""
    return pika.BasicProperties(
        content_type=original.content_type,
        content_encoding=original.content_encoding,
        headers=headers,
        delivery_mode=pika.DeliveryMode.Persistent.value,
        correlation_id=original.correlation_id,
        reply_to=original.reply_to,
        message_id=original.message_id,
        timestamp=original.timestamp,
        type=original.type,
        app_id=original.app_id,
    )


def _fits(properties: pika.BasicProperties) -> bool:
    """Say whether pika can write these properties, and the broker take them."""
    try:
        return sum(map(len, properties.encode())) <= MAXIMUM_PROPERTIES_BYTES
    except (UnsupportedAMQPFieldException, ValueError, TypeError, OverflowError, struct.error):
        return False
