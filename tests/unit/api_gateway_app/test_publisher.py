from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pika
import pytest
from tests.library.apps import EXCHANGE, QUEUE, ROUTING_KEY, Broker
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.publisher import Publisher, State

MESSAGE = OrderMessage("6bdf06e8-473c-4014-a072-44938e87fda2", b'{"order_id": "1"}', "request-1")

StartPublisher = Callable[..., Publisher]


@pytest.fixture
def start_publisher(topology: Broker, rabbitmq: RabbitMQ) -> Iterator[StartPublisher]:
    started = []

    def start(*, exchange: str = EXCHANGE, heartbeat: int = 2, is_ready: bool = True) -> Publisher:
        def make_parameters() -> pika.ConnectionParameters:
            parameters = topology.parameters()
            parameters.heartbeat = heartbeat
            parameters.stack_timeout = parameters.socket_timeout = 1
            return parameters

        publisher = Publisher(
            make_parameters, exchange=exchange, routing_key=ROUTING_KEY, confirm_seconds=0.5
        )
        publisher.start()
        started.append(publisher)
        if is_ready:
            wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
        return publisher

    yield start
    rabbitmq.resume()
    for publisher in started:
        publisher.stop()


def test_an_order_that_no_queue_takes_is_not_confirmed(
    start_publisher: StartPublisher, topology: Broker
) -> None:
    publisher = start_publisher()
    with topology.channel() as channel:
        channel.queue_unbind(QUEUE, EXCHANGE, ROUTING_KEY)
    assert publisher.deliver(MESSAGE) is Outcome.RETURNED
    with topology.channel() as channel:
        channel.queue_bind(QUEUE, EXCHANGE, ROUTING_KEY)
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED


def test_what_the_broker_refuses_is_not_confirmed_and_asked_for_on_new_channels(
    start_publisher: StartPublisher, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    def channels() -> str:
        return rabbitmq.control("--quiet", "list_channels", "pid")

    topology.make_queues(**{"x-max-length": 1})
    try:
        publisher = start_publisher()
        wait_until(lambda: publisher.deliver(MESSAGE) is Outcome.REFUSED, "a full queue refuses an order")
        refused_on = channels()
        # Nobody waits for an answer that is known.
        assert publisher.state is State.SUSPECT
        assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
        wait_until(lambda: channels() not in {"", refused_on}, "another channel is tried")
        assert publisher.state is State.SUSPECT
        topology.take()
        wait_until(lambda: publisher.state is State.READY, "the queue takes orders again")
    finally:
        topology.make_queues()
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED


def test_a_missing_exchange_is_waited_for(start_publisher: StartPublisher, topology: Broker) -> None:
    publisher = start_publisher(exchange="not_there_yet", is_ready=False)
    wait_until(lambda: "not_there_yet" in publisher.reason, "the reason names the exchange")
    assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
    with topology.channel() as channel:
        channel.exchange_declare("not_there_yet", "fanout")
        wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
        channel.exchange_delete("not_there_yet")


def test_a_killed_broker_ends_the_waiting_and_is_reconnected(
    start_publisher: StartPublisher, rabbitmq: RabbitMQ, topology: Broker
) -> None:
    topology.sync()
    publisher = start_publisher(heartbeat=60)
    rabbitmq.pause()
    waiting = publisher.publish(MESSAGE)
    rabbitmq.kill()
    assert waiting.wait(5) is Outcome.UNCONFIRMED
    wait_until(lambda: publisher.state is State.DISCONNECTED, "the end is noticed")
    rabbitmq.start()
    # The queue's leader is elected a moment after the broker listens.
    wait_until(lambda: publisher.deliver(MESSAGE) is Outcome.CONFIRMED, "an order is confirmed", 60)


def test_a_broker_with_an_alarm_blocks_nobody(start_publisher: StartPublisher, rabbitmq: RabbitMQ) -> None:
    publisher = start_publisher()
    rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1000000")
    try:
        wait_until(
            lambda: publisher.deliver(MESSAGE) is not Outcome.CONFIRMED and publisher.state is State.BLOCKED,
            "the alarm blocks the connection",
        )
        began = time.monotonic()
        assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
        # Less than it waits for a confirm.
        assert time.monotonic() - began < 0.5
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "absolute", "256000000")
    wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED
