from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pika
import pytest
from gateway_process import EXCHANGE, QUEUE, ROUTING_KEY, Topology
from servers import RabbitMQ, wait_until

from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.publisher import Publisher, State

MESSAGE = OrderMessage("6bdf06e8-473c-4014-a072-44938e87fda2", b'{"order_id": "1"}', "request-1")

StartPublisher = Callable[..., Publisher]


@pytest.fixture
def start_publisher(topology: Topology, rabbitmq: RabbitMQ) -> Iterator[StartPublisher]:
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


def test_a_confirmed_order_is_in_the_queue_with_its_properties(
    start_publisher: StartPublisher, topology: Topology
) -> None:
    assert start_publisher().deliver(MESSAGE) is Outcome.CONFIRMED
    [(properties, body)] = topology.take()
    assert body == {"order_id": "1"}
    assert properties.message_id == MESSAGE.order_id
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert (properties.headers or {})["X-Request-ID"] == "request-1"


def test_many_orders_are_in_flight_at_once_and_each_gets_its_own_confirm(
    start_publisher: StartPublisher, topology: Topology
) -> None:
    publisher = start_publisher()
    messages = [replace(MESSAGE, order_id=str(number)) for number in range(500)]
    deliveries = [publisher.publish(message) for message in messages]
    assert {delivery.wait(10) for delivery in deliveries} == {Outcome.CONFIRMED}
    assert [properties.message_id for properties, _ in topology.take()] == [str(n) for n in range(500)]


def test_an_order_that_no_queue_takes_is_not_confirmed(
    start_publisher: StartPublisher, topology: Topology
) -> None:
    publisher = start_publisher()
    with topology.channel() as channel:
        channel.queue_unbind(QUEUE, EXCHANGE, ROUTING_KEY)
    assert publisher.deliver(MESSAGE) is Outcome.RETURNED
    with topology.channel() as channel:
        channel.queue_bind(QUEUE, EXCHANGE, ROUTING_KEY)
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED


def test_an_order_that_a_full_queue_refuses_is_not_confirmed(
    start_publisher: StartPublisher, topology: Topology
) -> None:
    topology.make({"x-max-length": 1})
    publisher = start_publisher()
    outcomes = [publisher.deliver(MESSAGE) for _ in range(20)]
    assert outcomes[0] is Outcome.CONFIRMED
    assert outcomes[-1] is Outcome.REFUSED
    assert publisher.state is State.READY


def test_a_missing_exchange_is_waited_for(start_publisher: StartPublisher, topology: Topology) -> None:
    publisher = start_publisher(exchange="not_there_yet", is_ready=False)
    wait_until(lambda: "not_there_yet" in publisher.reason, "the reason names the exchange")
    assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
    with topology.channel() as channel:
        channel.exchange_declare("not_there_yet", "fanout")
        wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
        channel.exchange_delete("not_there_yet")


def test_only_the_first_order_waits_for_a_paused_broker(
    start_publisher: StartPublisher, rabbitmq: RabbitMQ
) -> None:
    publisher = start_publisher(heartbeat=60)
    rabbitmq.pause()
    began = time.monotonic()
    assert publisher.deliver(MESSAGE) is Outcome.UNCONFIRMED
    assert 0.4 < time.monotonic() - began < 1.5
    began = time.monotonic()
    for _ in range(100):
        assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
    assert time.monotonic() - began < 0.5
    rabbitmq.resume()
    # The late confirm of the first one shows that the broker answers again.
    wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED


def test_who_waits_beside_the_first_missed_confirm_is_released_with_it(
    start_publisher: StartPublisher, rabbitmq: RabbitMQ
) -> None:
    publisher = start_publisher(heartbeat=60)
    rabbitmq.pause()
    beside = [publisher.publish(MESSAGE) for _ in range(10)]
    publisher.deliver(MESSAGE)
    assert {delivery.wait(0) for delivery in beside} == {Outcome.UNCONFIRMED}


def test_a_killed_broker_ends_the_waiting_and_is_reconnected(
    start_publisher: StartPublisher, rabbitmq: RabbitMQ, topology: Topology
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
        assert time.monotonic() - began < 0.1
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "absolute", "256000000")
    wait_until(lambda: publisher.state is State.READY, "the publisher is ready")
    assert publisher.deliver(MESSAGE) is Outcome.CONFIRMED


def test_a_stopped_publisher_takes_nothing_more(start_publisher: StartPublisher) -> None:
    publisher = start_publisher()
    publisher.stop()
    assert publisher.deliver(MESSAGE) is Outcome.NOT_SENT
