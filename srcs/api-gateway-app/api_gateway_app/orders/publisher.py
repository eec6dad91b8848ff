"""The publisher: one connection to the broker, owned by one thread, with many orders in flight.

pika is not thread-safe, so only the thread called "publisher" touches the connection. HTTP threads
put a message into the outbox and wait for its own confirm. The first confirm that does not come in
time makes the broker suspect: everybody who waits is released at once (and stores the order), and
nobody waits again until a late confirm, or that of a probe, shows that the broker takes orders. An
order that the broker refuses makes it suspect, too.

The probe is the very order that was not confirmed, published once more on a new channel: it has
been stored by then (or refused, where orders are not kept), and an order that arrives twice is stored once.
The new channel matters: where the leader of the queue was lost with its machine, RabbitMQ 3.10 goes on
refusing all orders of a channel that asked for the leader before it was known to be lost
(https://github.com/rabbitmq/rabbitmq-server/pull/9241).

See https://www.rabbitmq.com/docs/confirms and https://www.rabbitmq.com/docs/connection-blocked.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pika import BasicProperties, ConnectionParameters, DeliveryMode, SelectConnection
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowFailed
from pika.channel import Channel
from pika.exceptions import ChannelClosedByClient
from pika.frame import Method
from pika.spec import Basic

from api_gateway_app.orders.delivery import Delivery, Outcome
from api_gateway_app.orders.message import OrderMessage
from platform_common.backoff import Backoff

_logger = logging.getLogger(__name__)

PROBE_SECONDS: Final = 1.0


class State(enum.Enum):
    """What the publisher can do now."""

    DISCONNECTED = "disconnected"
    READY = "ready"
    BLOCKED = "blocked"
    """The broker is short of memory or disk and reads nothing from us (connection.blocked)."""
    SUSPECT = "suspect"
    """The broker is connected but does not confirm in time, or refuses orders."""


class Publisher:
    """Publishes orders to one exchange with publisher confirms.

    Args:
        make_parameters: called for each connect, so that a changed password is used.
        exchange: the exchange, which must exist; it is only checked.
        routing_key: the key of every message.
        confirm_seconds: how long `deliver` waits for a confirm.
    """

    def __init__(
        self,
        make_parameters: Callable[[], ConnectionParameters],
        *,
        exchange: str,
        routing_key: str,
        confirm_seconds: float = 1.0,
    ) -> None:
        self._make_parameters = make_parameters
        self._exchange = exchange
        self._routing_key = routing_key
        self._confirm_seconds = confirm_seconds
        self._backoff = Backoff()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

        # The lock guards what follows: all threads read and write it.
        self._lock = threading.Lock()
        self._state = State.DISCONNECTED
        self._reason = "not connected yet"
        self._connection: SelectConnection | None = None
        self._outbox: deque[Delivery] = deque()
        self._flush_is_due = False
        self._in_flight: dict[int, Delivery] = {}
        self._unconfirmed: OrderMessage | None = None

        # Only the publisher's thread uses these.
        self._channel: Channel | None = None
        self._channel_is_opening = False
        self._channel_error = ""
        self._last_tag = 0

    @property
    def state(self) -> State:
        """What the publisher can do now."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the state is not READY; for the log and the operator."""
        return "" if self._state is State.READY else self._reason

    def start(self) -> None:
        """Start the thread, which connects, and reconnects for ever."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Close the connection and end the thread; what is not confirmed by then stays unconfirmed."""
        self._stopping.set()
        self._call(self._close_connection)
        self._thread.join(timeout)

    def deliver(self, message: OrderMessage) -> Outcome:
        """Publish `message` and wait for its confirm, at most `confirm_seconds`.

        While the broker is known not to answer, this returns at once.
        """
        delivery = self.publish(message)
        outcome = delivery.wait(self._confirm_seconds)
        if outcome is None:
            self.suspect(message)
            return delivery.outcome
        return outcome

    def publish(self, message: OrderMessage) -> Delivery:
        """Put `message` on its way without waiting."""
        delivery = Delivery(message)
        with self._lock:
            if self._state is not State.READY:
                delivery.finish(Outcome.NOT_SENT)
            else:
                self._put_into_outbox(delivery)
        return delivery

    def suspect(self, message: OrderMessage) -> None:
        """Give up waiting for what is in flight: `message` was not confirmed in time."""
        with self._lock:
            # They stay in flight: a late confirm ends the suspicion.
            waiting = [*self._outbox, *self._in_flight.values()]
            self._begin_to_suspect(message, "no confirm in time")
        for delivery in waiting:
            delivery.finish(Outcome.UNCONFIRMED)

    def _begin_to_suspect(self, message: OrderMessage, reason: str) -> None:
        """Let nobody publish until `message` was confirmed as the probe; the caller holds the lock."""
        if self._state is State.READY:
            self._state, self._reason = State.SUSPECT, reason
            self._unconfirmed = message
            _logger.warning("The broker does not confirm (%s): orders are stored until it does", reason)
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(self._probe_later)

    def _put_into_outbox(self, delivery: Delivery) -> None:
        """Have `delivery` published by the publisher's thread; the caller holds the lock."""
        self._outbox.append(delivery)
        if not self._flush_is_due and self._connection is not None:
            # One wake-up for all that gather until then.
            self._flush_is_due = True
            self._connection.ioloop.add_callback_threadsafe(self._flush)

    def _call(self, function: Callable[[], None]) -> None:
        """Have `function` called by the publisher's thread, if there is a connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(function)

    # What follows runs in the publisher's thread only.

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect_and_serve()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must go on
                self._disconnected(_describe(error))
            self._stopping.wait(self._backoff.next_delay())

    def _connect_and_serve(self) -> None:
        """Keep one connection from its opening to its end."""
        self._channel_error = ""

        def on_open(connection: SelectConnection) -> None:
            connection.add_on_connection_blocked_callback(self._on_blocked)
            connection.add_on_connection_unblocked_callback(self._on_unblocked)
            self._open_channel()

        def on_end(connection: SelectConnection, error: BaseException | str) -> None:
            self._disconnected(self._channel_error or _describe(error))
            connection.ioloop.stop()

        connection = SelectConnection(
            self._make_parameters(),
            on_open_callback=on_open,
            on_open_error_callback=on_end,
            on_close_callback=on_end,
        )
        with self._lock:
            self._connection = connection
        try:
            if not self._stopping.is_set():
                connection.ioloop.start()
        finally:
            with self._lock:
                self._connection = None
            connection.ioloop.close()

    def _close_connection(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        elif self._connection is not None:
            self._connection.ioloop.stop()

    def _disconnected(self, reason: str) -> None:
        self._channel = None
        self._channel_is_opening = False
        with self._lock:
            is_news = self._state is not State.DISCONNECTED or self._reason != reason
            self._state, self._reason = State.DISCONNECTED, reason
            lost = [*self._in_flight.values(), *self._outbox]
            self._in_flight.clear()
            self._outbox.clear()
            self._flush_is_due = False
            if lost:
                self._unconfirmed = lost[-1].message
        for delivery in lost:
            delivery.finish(Outcome.UNCONFIRMED)
        if is_news and not self._stopping.is_set():
            _logger.warning("The broker is not connected: %s", reason)

    def _open_channel(self) -> None:
        if self._connection is None or self._channel_is_opening or not self._connection.is_open:
            return
        self._channel_is_opening = True

        def on_channel(channel: Channel) -> None:
            channel.add_on_close_callback(self._on_channel_closed)
            channel.add_on_return_callback(self._on_return)
            channel.exchange_declare(
                exchange=self._exchange, passive=True, callback=lambda _: on_exchange(channel)
            )

        def on_exchange(channel: Channel) -> None:
            on_confirm = partial(self._on_confirm, channel)
            channel.confirm_delivery(on_confirm, callback=lambda _: self._use_channel(channel))

        self._connection.channel(on_open_callback=on_channel)

    def _use_channel(self, channel: Channel) -> None:
        """Publish on `channel` from now on; on one that replaces another, the probe comes first."""
        self._channel_is_opening = False
        self._backoff.reset()
        lost: list[Delivery] = []
        with self._lock:
            if self._state in {State.READY, State.BLOCKED}:
                # The old channel's late confirm came first.
                superfluous: Channel | None = channel
            else:
                superfluous, self._channel = self._channel, channel
                self._last_tag = 0
                lost = list(self._in_flight.values())
                self._in_flight.clear()
                if self._unconfirmed is None:
                    self._state = State.READY
                else:
                    self._state, self._reason = State.SUSPECT, "no confirm yet"
                    self._put_into_outbox(Delivery(self._unconfirmed))
            state = self._state
        for delivery in lost:
            delivery.finish(Outcome.UNCONFIRMED)
        if superfluous is not None and superfluous.is_open:
            superfluous.close()
        if state is State.SUSPECT:
            self._probe_later()
        elif superfluous is not channel:
            _logger.info("The broker is connected")

    def _probe_later(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.call_later(PROBE_SECONDS, self._probe)

    def _probe(self) -> None:
        """Ask a broker that is still suspect on a new channel: a queue may have forgotten the old one."""
        if self._state is State.SUSPECT:
            self._open_channel()

    def _on_channel_closed(self, channel: Channel, error: Exception) -> None:
        # The broker closes a channel for an error of ours (no such exchange, no right to write):
        # a new connection, after the backoff, tries again.
        if channel.connection.is_open and not isinstance(error, ChannelClosedByClient):
            self._channel_error = _describe(error)
            channel.connection.close()

    def _on_blocked(self, _connection: Any, frame: Method[Any]) -> None:
        reason = str(frame.method.reason)
        _logger.warning("The broker takes no orders: %s", reason)
        with self._lock:
            if self._state is not State.DISCONNECTED:
                self._state, self._reason = State.BLOCKED, reason
            waiting = [*self._outbox, *self._in_flight.values()]
        for delivery in waiting:
            delivery.finish(Outcome.UNCONFIRMED)

    def _on_unblocked(self, _connection: Any, _frame: Method[Any]) -> None:
        _logger.info("The broker takes orders again")
        with self._lock:
            if self._state is State.BLOCKED:
                self._state = State.READY

    def _flush(self) -> None:
        """Publish what is in the outbox."""
        channel = self._channel
        with self._lock:
            self._flush_is_due = False
            if channel is None or not channel.is_open:
                return
            batch = list(self._outbox)
            self._outbox.clear()
            # In flight before they are sent: who suspects the broker meanwhile releases them too.
            for tag, delivery in enumerate(batch, self._last_tag + 1):
                self._in_flight[tag] = delivery
        self._last_tag += len(batch)
        for delivery in batch:
            channel.basic_publish(
                self._exchange,
                self._routing_key,
                delivery.message.body,
                BasicProperties(
                    content_type="application/json",
                    delivery_mode=DeliveryMode.Persistent,
                    message_id=delivery.message.order_id,
                    headers={"X-Request-ID": delivery.message.request_id},
                ),
                mandatory=True,
            )

    def _on_return(self, channel: Channel, _method: Any, properties: BasicProperties, _body: bytes) -> None:
        """Note a message that no queue took; its basic.ack follows (the broker's manual, "mandatory")."""
        if channel is not self._channel:
            return
        for delivery in self._in_flight.values():
            if delivery.message.order_id == properties.message_id and not delivery.returned:
                delivery.returned = True
                return

    def _on_confirm(self, channel: Channel, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        if channel is not self._channel:
            return
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        is_ack = isinstance(frame.method, Basic.Ack)
        with self._lock:
            # The dictionary is in the order of the tags.
            tags = [each for each in self._in_flight if each <= tag] if multiple else [tag]
            settled = [delivery for each in tags if (delivery := self._in_flight.pop(each, None))]
            if is_ack:
                self._unconfirmed = None
                if self._state is State.SUSPECT:
                    self._state = State.READY
                    _logger.info("The broker confirms")
            elif settled:
                self._begin_to_suspect(settled[-1].message, "it refuses orders")
        for delivery in settled:
            if not is_ack:
                delivery.finish(Outcome.REFUSED)
            elif delivery.returned:
                delivery.finish(Outcome.RETURNED)
            else:
                delivery.finish(Outcome.CONFIRMED)


def _describe(error: BaseException | str) -> str:
    """Return the cause that pika wraps into several exceptions."""
    if isinstance(error, AMQPConnectionWorkflowFailed):
        return _describe(error.exceptions[-1])
    if isinstance(error, BaseException) and error.args and isinstance(error.args[0], BaseException):
        return _describe(error.args[0])
    return str(error) or type(error).__name__
