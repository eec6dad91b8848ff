"""The queue of dead letters as its operator uses it: looking, putting back, removing."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError

from billing_app.dead_letters import copied_properties
from platform_common.broker import BrokerSettings

SILENT_SECONDS: Final = 5
# What tells about the dead letter and not about the order.
_OUR_HEADERS: Final = frozenset(
    {"reason", "reason_code", "dead_letter_id", "dead_letter_time", "retries", "x-delivery-count"}
)


class BoxError(Exception):
    """It cannot be done; the text is a whole sentence for the operator."""


_OTHERS: Final = BoxError("Somebody else is looking at the dead letters at the moment: try again.")


class Action(enum.Enum):
    """What becomes of a dead letter that was looked at."""

    KEEP = enum.auto()
    RETRY = enum.auto()
    DROP = enum.auto()


@dataclass(frozen=True)
class DeadLetter:
    """A message in the queue of dead letters."""

    body: bytes
    properties: pika.BasicProperties

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers; billing-app's own tell the reason."""
        return self.properties.headers or {}

    @property
    def id(self) -> str:
        """What names it: billing-app's id; for what came another way, a hash of its body."""
        return self._text("dead_letter_id") or hashlib.sha256(self.body).hexdigest()

    @property
    def time(self) -> str:
        """When it became a dead letter (UTC, ISO 8601); empty where that is not known."""
        return self._text("dead_letter_time")

    @property
    def reason_code(self) -> str:
        """The reason for programs."""
        return self._text("reason_code") or "unknown"

    @property
    def reason(self) -> str:
        """The reason as a sentence."""
        return self._text("reason") or "It was not billing-app that put it here, so no reason is known."

    @property
    def retries(self) -> int:
        """How often it was put back and came here again."""
        value = self.headers.get("retries")
        return value if isinstance(value, int) else 0

    def field(self, name: str) -> str:
        """Return a member of the body as text; empty where the body cannot be read or has none."""
        try:
            # Numbers as they are written: an id of many digits is no binary fraction.
            document = json.loads(self.body, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            return ""
        value = document.get(name) if isinstance(document, dict) else None
        return value if isinstance(value, str) else ""

    def _text(self, header: str) -> str:
        value = self.headers.get(header)
        return value if isinstance(value, str) else ""


class DeadLetterBox:
    """The dead letters, for one operator at a time."""

    def __init__(self, settings: BrokerSettings, queue: str) -> None:
        self._settings = settings
        self._queue = queue

    def visit(self, decide: Callable[[DeadLetter], Action]) -> int:
        """Take each dead letter that is there now, oldest first, and do with it as `decide` says.

        Those to keep go back to their places when all were seen. One to be put back is removed after the
        broker has confirmed its copy in the queue of orders: whatever ends this in between, it is at worst
        in both places, and the table of orders takes it once.

        Returns: how many were there.

        Raises:
            BoxError: somebody else has the queue at the moment, or the broker did not take a copy.
            AMQPError, OSError, SettingsError: the broker cannot be used; what was not acknowledged is
                still there.
        """
        parameters = self._settings.connection_parameters("dead letters", blocked_seconds=SILENT_SECONDS)
        connection = pika.BlockingConnection(parameters)
        try:
            reading, publishing = connection.channel(), connection.channel()
            publishing.confirm_delivery()
            queue = reading.queue_declare(self._queue, passive=True).method
            if queue.consumer_count:
                raise _OTHERS
            return self._visit(reading, publishing, int(queue.message_count), decide)
        finally:
            if connection.is_open:
                connection.close()

    def _visit(
        self,
        reading: BlockingChannel,
        publishing: BlockingChannel,
        number: int,
        decide: Callable[[DeadLetter], Action],
    ) -> int:
        if not number:
            return 0
        seen = 0
        for method, properties, body in reading.consume(self._queue, inactivity_timeout=SILENT_SECONDS):
            # A quorum queue of RabbitMQ 3.10 knows no exclusive consumer: of two that begin at the same
            # moment, the later one sees both.
            if not seen and publishing.queue_declare(self._queue, passive=True).method.consumer_count > 1:
                raise _OTHERS
            if method is None or properties is None or body is None:
                # Fewer than there were: somebody emptied the queue meanwhile.
                break
            letter = DeadLetter(body, properties)
            action = decide(letter)
            if action is Action.RETRY:
                self._put_back(publishing, letter)
            if action is not Action.KEEP:
                reading.basic_ack(method.delivery_tag or 0)
            seen += 1
            # What comes later was put back by us, or is new.
            if seen == number:
                break
        return seen

    def _put_back(self, channel: BlockingChannel, letter: DeadLetter) -> None:
        headers = {name: value for name, value in letter.headers.items() if name not in _OUR_HEADERS}
        properties = copied_properties(letter.properties, headers | {"retries": letter.retries + 1})
        # One that was not billing-app's may have no id; the same body gives the same one.
        properties.message_id = letter.properties.message_id or letter.id
        try:
            channel.basic_publish(
                self._settings.exchange, self._settings.routing_key, letter.body, properties, mandatory=True
            )
        except (NackError, UnroutableError) as error:
            raise BoxError(
                "The broker does not take orders at the moment (is its queue full, or missing?): "
                "what was not put back is still among the dead letters."
            ) from error
