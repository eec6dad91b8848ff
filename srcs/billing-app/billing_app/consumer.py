"""The consumer: takes orders from the queue into the database, each exactly once.

The order of things is what makes it safe. A message is acknowledged after the commit of the
transaction that stores it, or after the broker has confirmed its dead letter; whatever dies
before that, the broker delivers the message again, and storing it again changes nothing.

What fails for a while (the database, the broker, the dead letters) is waited for: deliveries are
held, never sent back, so nothing circles. What a message is, is judged by its content alone and
never by how often it was delivered: a consumer that is killed a hundred times condemns no order.
One that was delivered often is only tried by itself first (see `trial`), so that what ends a process
by its content ends that one.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from billing_app import metrics
from billing_app.dead_letters import DeadLetters
from billing_app.judge import Rejection, judge
from billing_app.repository import IdentifiedOrder, Orders, is_data_error
from billing_app.settings import Settings
from billing_app.state import ConsumerState, Phase
from billing_app.trial import Crash, Undecided, try_alone
from platform_common.backoff import Backoff
from platform_common.settings import SettingsError

ROUND_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.005
BATCH_BYTES: Final = 4 * 1024 * 1024
# Delivered so often without being acknowledged, it may be what ends the process.
SUSPICIOUS_DELIVERIES: Final = 3
# So many trials must end by themselves before a message is a dead letter for that.
CONDEMNING_CRASHES: Final = 5
# Time for trials in one round; they are for what is left when everything else is done.
TRIALS_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """A message in our hands that is not acknowledged yet.

    `new_id` becomes its id where it brings none.
    """

    tag: int
    body: bytes
    properties: pika.BasicProperties
    new_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def is_suspicious(self) -> bool:
        """Whether it was in the hands of several consumers that ended."""
        count = (self.properties.headers or {}).get("x-delivery-count", 0)
        return isinstance(count, int) and count >= SUSPICIOUS_DELIVERIES

    @property
    def request_id(self) -> str | None:
        """The request that the message comes from; none where it was put in by hand."""
        value = (self.properties.headers or {}).get("X-Request-ID")
        return value if isinstance(value, str) else None


@dataclass
class Suspect:
    """A delivery that may end the process, and how its trials ended."""

    delivery: Delivery
    crashes: list[Crash] = field(default_factory=list)


class DatabaseUnavailable(Exception):
    """The orders cannot be stored at the moment; none of them is at fault."""


class Consumer:
    """Consumes until it is told to stop. One thread, one connection to each side."""

    def __init__(
        self, settings: Settings, orders: Orders, dead_letters: DeadLetters, state: ConsumerState
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._dead_letters = dead_letters
        self._state = state
        self._told_to_stop = False
        # What has arrived and was not looked at; what is tried alone first; what is an order; what is
        # to be a dead letter.
        self._arrived: list[Delivery] = []
        self._suspects: list[Suspect] = []
        self._good: list[tuple[Delivery, IdentifiedOrder]] = []
        self._bad: list[tuple[Delivery, Rejection]] = []
        self._cancelled = False
        self._database_backoff = Backoff()
        self._database_pause_until = 0.0
        self._dead_letter_backoff = Backoff()
        self._dead_letter_pause_until = 0.0
        self._trial_backoff = Backoff()
        self._trial_pause_until = 0.0

    def stop(self) -> None:
        """Ask for the end: what is in hand is stored and acknowledged, then `run` returns."""
        self._told_to_stop = True

    def _is_stopping(self) -> bool:
        # A plain attribute: `stop` is called by a signal handler, where a lock could be our own.
        return self._told_to_stop

    def run(self) -> None:
        """Consume until `stop`; connects again for as long as it takes."""
        backoff = Backoff()
        while not self._is_stopping():
            self._state.phase = Phase.CONNECTING
            self._beat()
            try:
                self._run_connected(backoff)
            except (AMQPError, OSError, SettingsError) as error:
                if self._is_stopping():
                    break
                delay = backoff.next_delay()
                _logger.warning("no connection to the broker (%r): next try in %.1f s", error, delay)
                self._sleep(delay)
        self._dead_letters.close()
        _logger.info("the consumer has stopped")

    def _run_connected(self, backoff: Backoff) -> None:
        parameters = self._settings.broker.connection_parameters("billing-app consumer")
        connection = pika.BlockingConnection(parameters)
        # What an earlier connection delivered is delivered again: the old tags mean nothing now.
        self._arrived, self._suspects, self._good, self._bad = [], [], [], []
        self._cancelled = False
        try:
            channel = connection.channel()
            channel.queue_declare(self._settings.broker.queue, passive=True)
            channel.basic_qos(prefetch_count=self._settings.prefetch)
            channel.add_on_cancel_callback(lambda _: self._note_cancel())
            consumer_tag = channel.basic_consume(self._settings.broker.queue, self._take)
            self._state.phase = Phase.CONSUMING
            _logger.info("consuming %s", self._settings.broker.queue)
            while not self._is_stopping() and not self._cancelled:
                self._round(connection, channel)
                backoff.reset()
            if self._cancelled:
                raise AMQPError("the broker has ended the consumer: is the queue gone?")
            self._drain(connection, channel, consumer_tag)
        finally:
            if connection.is_open:
                connection.close()

    def _note_cancel(self) -> None:
        self._cancelled = True

    def _round(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        self._beat()
        holding = bool(self._good or self._bad or self._suspects)
        connection.process_data_events(self._patience() if holding else ROUND_SECONDS)
        while self._arrived and self._has_room():
            before = len(self._arrived)
            connection.process_data_events(GATHER_SECONDS)
            if len(self._arrived) == before:
                break
        self._look_at_arrived()
        self._store_good(channel)
        self._bury_bad(channel)
        # Last, when the others are safe.
        self._try_suspects(connection, channel)
        self._dead_letters.keep_alive()

    def _patience(self) -> float:
        """Return how long to wait for more while something is held: until the next try is due."""
        pauses = []
        if self._good:
            pauses.append(self._database_pause_until)
        if self._bad:
            pauses.append(self._dead_letter_pause_until)
        if self._suspects:
            pauses.append(self._trial_pause_until)
        return min(ROUND_SECONDS, max(0.0, min(pauses) - time.monotonic()))

    def _has_room(self) -> bool:
        return (
            len(self._arrived) < self._settings.prefetch
            and sum(len(delivery.body) for delivery in self._arrived) < BATCH_BYTES
        )

    def _take(
        self,
        _channel: BlockingChannel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        metrics.CONSUMED.inc()
        self._arrived.append(Delivery(method.delivery_tag or 0, body, properties))

    def _look_at_arrived(self) -> None:
        for delivery in self._arrived:
            if delivery.is_suspicious:
                self._suspects.append(Suspect(delivery))
                continue
            try:
                verdict = _judge(delivery)
            except Exception:
                # A fault of ours, and not a reason to end with all the others in hand.
                _logger.exception("a message could not be judged: it will be tried alone")
                self._suspects.append(Suspect(delivery))
                continue
            if isinstance(verdict, Rejection):
                self._bad.append((delivery, verdict))
            else:
                self._good.append((delivery, verdict))
        self._arrived = []

    def _try_suspects(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        """Try each suspect in a process of its own; one that comes to its end there is no suspect."""
        if not self._suspects or time.monotonic() < self._trial_pause_until:
            return
        # At random, so that one that ends this process after all does not always take the same along.
        random.shuffle(self._suspects)
        until = time.monotonic() + TRIALS_SECONDS
        undecided = False
        for suspect in list(self._suspects):
            if time.monotonic() > until:
                break
            self._beat()
            try:
                crash = try_alone(
                    partial(self._rehearse, suspect.delivery), partial(self._wait_for_trial, connection)
                )
            except Undecided as reason:
                _logger.warning("a suspicious message could not be tried: %s", reason)
                undecided = True
                continue
            if crash is None:
                self._suspects.remove(suspect)
                self._settle(channel, suspect.delivery)
                continue
            suspect.crashes.append(crash)
            _logger.error(
                "trial %d of a suspicious message: the process %s",
                len(suspect.crashes),
                crash.how,
                extra={"request_id": suspect.delivery.request_id},
            )
            if len(suspect.crashes) >= CONDEMNING_CRASHES:
                self._suspects.remove(suspect)
                self._bad.append((suspect.delivery, _rejection_for(suspect.crashes)))
        if undecided:
            self._trial_pause_until = time.monotonic() + self._trial_backoff.next_delay()
        else:
            self._trial_backoff.reset()
        self._bury_bad(channel)

    def _rehearse(self, delivery: Delivery) -> None:
        """Do with a message, in a forked process, what is done with any, up to the commit."""
        self._orders.leave_connections()
        verdict = _judge(delivery)
        if isinstance(verdict, Rejection):
            return
        try:
            self._orders.rehearse(verdict)
        except PoolTimeoutError as error:
            raise Undecided("no connection to the database is free") from error
        except DBAPIError as error:
            # A refusal of the values is an answer like any other.
            if not is_data_error(error):
                raise Undecided(_said_by_database(error)) from error

    def _wait_for_trial(self, connection: pika.BlockingConnection) -> None:
        self._beat()
        connection.process_data_events(0)

    def _settle(self, channel: BlockingChannel, delivery: Delivery) -> None:
        """Handle one that stood its trial, as any other, but not together with others."""
        verdict = _judge(delivery)
        if isinstance(verdict, Rejection):
            self._bad.append((delivery, verdict))
            return
        pair = (delivery, verdict)
        self._good.append(pair)
        self._store_or_hold(channel, [pair])

    def _store_good(self, channel: BlockingChannel) -> None:
        if self._good and time.monotonic() >= self._database_pause_until:
            self._store_or_hold(channel, self._good)

    def _store_or_hold(
        self, channel: BlockingChannel, batch: Sequence[tuple[Delivery, IdentifiedOrder]]
    ) -> None:
        """Store a part of what is good, or note that the database cannot, and when to try again."""
        try:
            self._store(channel, batch)
        except DatabaseUnavailable as error:
            delay = self._database_backoff.next_delay()
            self._database_pause_until = time.monotonic() + delay
            self._state.phase = Phase.HOLDING
            _logger.warning(
                "holding %d orders, the database fails (%s): next try in %.1f s",
                len(self._good),
                error,
                delay,
            )
        else:
            self._database_backoff.reset()
            self._state.phase = Phase.CONSUMING

    def _store(self, channel: BlockingChannel, batch: Sequence[tuple[Delivery, IdentifiedOrder]]) -> None:
        """Store `batch` and acknowledge it; halve it where the database refuses its values."""
        self._beat()
        try:
            outcome = self._orders.store([item for _, item in batch])
        except PoolTimeoutError as error:
            raise DatabaseUnavailable("no connection is free") from error
        except DBAPIError as error:
            if not is_data_error(error):
                raise DatabaseUnavailable(_said_by_database(error)) from error
            if len(batch) == 1:
                self._condemn(batch, _refusal(error))
                return
            middle = len(batch) // 2
            self._store(channel, batch[:middle])
            self._store(channel, batch[middle:])
            return
        metrics.BATCH_SIZE.observe(len(batch))
        metrics.STORED.inc(len(outcome.stored))
        metrics.REPEATED.inc(len(outcome.repeated))
        conflicting = [batch[place] for place in outcome.conflicting]
        self._condemn(
            conflicting,
            Rejection("conflict", "An order with this order_id and another content is stored already."),
        )
        condemned = {delivery.tag for delivery, _ in conflicting}
        self._acknowledge(channel, [delivery.tag for delivery, _ in batch if delivery.tag not in condemned])
        for place in outcome.stored:
            delivery, item = batch[place]
            _logger.info(
                "order stored", extra={"order_id": str(item.order_id), "request_id": delivery.request_id}
            )

    def _condemn(self, batch: Sequence[tuple[Delivery, IdentifiedOrder]], rejection: Rejection) -> None:
        """Turn orders into dead letters to be."""
        tags = {delivery.tag for delivery, _ in batch}
        self._bad.extend((delivery, rejection) for delivery, _ in batch)
        self._good = [(delivery, item) for delivery, item in self._good if delivery.tag not in tags]

    def _acknowledge(self, channel: BlockingChannel, tags: Sequence[int]) -> None:
        """Acknowledge with as few frames as the tags that are still in hand allow."""
        done = set(tags)
        self._good = [(delivery, item) for delivery, item in self._good if delivery.tag not in done]
        held = {delivery.tag for delivery, _ in self._good} | {delivery.tag for delivery, _ in self._bad}
        held |= {delivery.tag for delivery in self._arrived}
        held |= {suspect.delivery.tag for suspect in self._suspects}
        lowest_held = min(held, default=None)
        up_to = [tag for tag in tags if lowest_held is None or tag < lowest_held]
        if up_to:
            channel.basic_ack(max(up_to), multiple=True)
        for tag in sorted(done.difference(up_to)):
            channel.basic_ack(tag)

    def _bury_bad(self, channel: BlockingChannel) -> None:
        """Publish what is no order to the dead letters, and acknowledge each when it is confirmed."""
        if not self._bad or time.monotonic() < self._dead_letter_pause_until:
            return
        while self._bad:
            delivery, rejection = self._bad[0]
            self._beat()
            try:
                self._dead_letters.publish(delivery.body, delivery.properties, rejection, delivery.new_id)
            except (AMQPError, OSError, SettingsError) as error:
                delay = self._dead_letter_backoff.next_delay()
                self._dead_letter_pause_until = time.monotonic() + delay
                _logger.warning(
                    "holding %d dead letters (%r): next try in %.1f s", len(self._bad), error, delay
                )
                return
            self._dead_letter_backoff.reset()
            del self._bad[0]
            channel.basic_ack(delivery.tag)
            metrics.DEAD_LETTERED.labels(rejection.code).inc()
            _logger.warning(
                "dead letter: %s",
                rejection.reason,
                extra={"reason_code": rejection.code, "request_id": delivery.request_id},
            )

    def _drain(
        self, connection: pika.BlockingConnection, channel: BlockingChannel, consumer_tag: str
    ) -> None:
        """Take nothing more, and try once more to finish what is in hand."""
        channel.basic_cancel(consumer_tag)
        self._database_pause_until = self._dead_letter_pause_until = 0.0
        self._look_at_arrived()
        self._store_good(channel)
        self._bury_bad(channel)
        # Acknowledgements are written before the connection's own good-bye.
        connection.process_data_events(0)

    def _beat(self) -> None:
        self._state.heartbeat.beat()
        metrics.LAST_ROUND.set_to_current_time()

    def _sleep(self, seconds: float) -> None:
        """Wait without looking dead, and without sleeping through `stop`."""
        until = time.monotonic() + seconds
        while not self._is_stopping() and (remaining := until - time.monotonic()) > 0:
            self._beat()
            time.sleep(min(remaining, ROUND_SECONDS))


def _judge(delivery: Delivery) -> IdentifiedOrder | Rejection:
    return judge(delivery.body, delivery.properties, delivery.new_id)


def _rejection_for(crashes: Sequence[Crash]) -> Rejection:
    return Rejection(
        "crashes_consumer",
        f"It ends the process that handles it: tried alone {len(crashes)} times, and at last the process "
        f"{crashes[-1].how}.",
    )


def _refusal(error: DBAPIError) -> Rejection:
    return Rejection("refused_by_database", f"The database refuses it: {_said_by_database(error)}.")


def _said_by_database(error: DBAPIError) -> str:
    """Return what the database said, without our statement and its values."""
    return next(iter(str(error.orig).strip().splitlines()), "it gave no reason")
