"""How many messages wait at the broker. To ask needs no right there, only a login: the gateway's own."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from platform_common.broker import BrokerSettings
from platform_common.health import NO_CONNECTION
from platform_common.settings import SettingsError

# A connection to a broker that stands still ends after about two of these.
HEARTBEAT_SECONDS: Final = 4
# A question that is open for longer, and the broker counts as down.
SILENT_SECONDS: Final = 2.5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueSample:
    """What the broker said.

    Attributes:
        asked_at: when it was asked, in seconds since 1970.
        waiting: messages that wait in the queue of orders; those that a consumer holds are not among them.
        consumers: how many consumers it has.
        dead_letters: messages that are no orders; None if their queue is missing.
    """

    asked_at: float
    waiting: int
    consumers: int
    dead_letters: int | None


class Queues:
    """Asks the broker on a connection of its own. `ask` may block: it belongs into a thread."""

    def __init__(self, settings: BrokerSettings, dead_letter_queue: str) -> None:
        self._settings = settings
        self._dead_letter_queue = dead_letter_queue
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._asking_since: float | None = None
        self._reason = NO_CONNECTION

    def ask(self) -> QueueSample | None:
        """Return what waits now, None if the broker does not say."""
        asked_at, self._asking_since = time.time(), time.monotonic()
        try:
            channel = self._open_channel()
            orders = channel.queue_declare(self._settings.queue, passive=True).method
            dead_letters = self._count_dead_letters(channel)
        except ChannelClosedByBroker as error:
            self._reason = f"it says: {error.reply_text}"
        except (AMQPError, OSError, SettingsError) as error:
            _logger.debug("the broker does not say what waits: %r", error)
            self._reason = NO_CONNECTION
            self.close()
        else:
            self._reason = ""
            return QueueSample(asked_at, orders.message_count, orders.consumer_count, dead_letters)
        finally:
            self._asking_since = None
        return None

    def trouble(self) -> str:
        """Return why the broker counts as down; nothing while it answers."""
        asking_since = self._asking_since
        if asking_since is not None and time.monotonic() - asking_since > SILENT_SECONDS:
            return "it does not answer"
        return self._reason

    def close(self) -> None:
        """Close the connection, if there is one; the next `ask` makes a new one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except (AMQPError, OSError):
                _logger.debug("the connection was closed already")

    def _count_dead_letters(self, channel: BlockingChannel) -> int | None:
        try:
            return int(channel.queue_declare(self._dead_letter_queue, passive=True).method.message_count)
        except ChannelClosedByBroker:
            # No such queue. The next question opens another channel.
            return None

    def _open_channel(self) -> BlockingChannel:
        if self._connection is None or not self._connection.is_open:
            self.close()
            parameters = self._settings.connection_parameters(
                "page", heartbeat=HEARTBEAT_SECONDS, connect_seconds=2
            )
            self._connection = pika.BlockingConnection(parameters)
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
        return self._channel
