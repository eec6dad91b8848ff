"""The consumer between a real broker and a real database."""

from __future__ import annotations

import json

import pika
import pytest
from tests.library.apps import Broker, Database, order_message, stored_orders
from tests.library.support import wait_until

from billing_app.state import ConsumerState, Phase


def wait_for_rows(database: Database, number: int, seconds: float = 30) -> None:
    wait_until(lambda: stored_orders(database) == number, f"{number} rows", seconds)


def wait_for_acknowledgements(broker: Broker) -> None:
    """Wait until no message is ready or in somebody's hands: a purge then deletes nothing."""
    listing = ("list_queues", "name", "messages", "--no-table-headers")
    wait_until(lambda: "billing_queue\t0" in broker.server.control(*listing), "an empty queue")


@pytest.mark.usefixtures("consuming")
def test_a_dead_letter_keeps_what_its_message_had(broker: Broker) -> None:
    broker.put(
        b"no order",
        message_id="m-1",
        correlation_id="c-1",
        content_type="text/plain",
        type="t",
        headers={"X-Request-ID": "trace me", "number": 7, "CC": ["billing_queue"]},
        expiration="60000",
        user_id=broker.server.user,
    )
    [letter] = broker.dead_letters(1)
    properties = letter.properties
    assert letter.body == b"no order"
    assert (properties.message_id, properties.correlation_id) == ("m-1", "c-1")
    assert (properties.content_type, properties.type) == ("text/plain", "t")
    assert letter.headers["X-Request-ID"] == "trace me"
    assert letter.headers["number"] == 7
    assert properties.expiration is None, "a dead letter must not vanish by itself"


@pytest.mark.usefixtures("consuming")
def test_properties_too_large_to_be_repeated_do_not_stop_a_dead_letter(broker: Broker) -> None:
    broker.put(b"no order", message_id="m-2", headers={"large": "x" * 120_000})
    [letter] = broker.dead_letters(1)
    assert letter.properties.message_id == "m-2"
    assert "not JSON" in letter.headers["reason"]


@pytest.mark.usefixtures("consuming")
def test_one_order_that_the_database_refuses_does_not_take_its_batch_along(
    broker: Broker, database: Database
) -> None:
    database.execute("ALTER TABLE orders ADD CONSTRAINT no_devil CHECK (user_id <> 'devil')")
    try:
        broker.put(*(order_message(n, **({"user_id": "devil"} if n in {7, 60} else {})) for n in range(100)))
        wait_for_rows(database, 98)
        letters = broker.dead_letters(2)
    finally:
        database.execute("ALTER TABLE orders DROP CONSTRAINT no_devil")
    for letter in letters:
        assert json.loads(letter.body)["user_id"] == "devil"
        assert letter.headers["reason_code"] == "refused_by_database"
        assert "no_devil" in letter.headers["reason"]
    wait_for_acknowledgements(broker)


def test_without_the_database_orders_are_held_and_stored_when_it_is_back(
    consuming: ConsumerState, broker: Broker, database: Database
) -> None:
    broker.put(order_message(1))
    wait_for_rows(database, 1)
    database.server.stop("immediate")
    try:
        broker.put(*(order_message(n) for n in range(2, 12)), b"no order")
        wait_until(lambda: consuming.phase is Phase.HOLDING, "the consumer holds")
        # What is no order needs no database.
        broker.dead_letters(1)
        # Held, not sent back: nothing is ready to be delivered again.
        assert broker.depth("billing_queue") == 0
        assert consuming.check_consumer(10)["status"] == "up"
    finally:
        database.server.start()
    wait_for_rows(database, 11)
    wait_until(lambda: consuming.phase is Phase.CONSUMING, "the consumer goes on")
    wait_for_acknowledgements(broker)
    assert broker.depth("billing_dead_letter") == 0


def test_a_failing_table_condemns_no_order(
    consuming: ConsumerState, broker: Broker, database: Database
) -> None:
    database.execute("REVOKE INSERT ON orders FROM app")
    try:
        broker.put(order_message(1), order_message(2))
        wait_until(lambda: consuming.phase is Phase.HOLDING, "the consumer holds")
    finally:
        database.execute("GRANT INSERT ON orders TO app")
    wait_for_rows(database, 2)
    assert broker.depth("billing_dead_letter") == 0


@pytest.mark.usefixtures("consuming")
def test_without_the_dead_letters_exchange_nothing_is_lost_and_orders_go_on(
    broker: Broker, database: Database
) -> None:
    with broker.channel() as channel:
        channel.queue_unbind("billing_dead_letter", "billing_dead_letter")
    try:
        broker.put(b"no order", order_message(1))
        wait_for_rows(database, 1)
        broker.put(order_message(2))
        wait_for_rows(database, 2)
        assert broker.depth("billing_dead_letter") == 0
    finally:
        with broker.channel() as channel:
            channel.queue_bind("billing_dead_letter", "billing_dead_letter")
    broker.dead_letters(1)
    wait_for_acknowledgements(broker)


def test_the_broker_crashes_and_everything_goes_on_by_itself(
    consuming: ConsumerState, broker: Broker, database: Database
) -> None:
    broker.put(order_message(1))
    wait_for_rows(database, 1)
    broker.server.kill()
    wait_until(lambda: consuming.check_broker()["status"] == "down", "the loss is seen")
    broker.server.start()
    wait_until(lambda: consuming.phase is Phase.CONSUMING, "the consumer is back", 60)
    broker.put(order_message(2))
    wait_for_rows(database, 2)


def test_a_connection_closed_by_the_broker_is_opened_again(
    consuming: ConsumerState, broker: Broker, database: Database
) -> None:
    wait_until(lambda: consuming.phase is Phase.CONSUMING, "the consumer consumes")
    broker.server.control("close_all_connections", "test")
    broker.put(order_message(1))
    wait_for_rows(database, 1)


def test_many_deliveries_condemn_no_order(
    broker: Broker, database: Database, request: pytest.FixtureRequest
) -> None:
    broker.put(*(order_message(n) for n in range(20)))
    for _ in range(4):
        connection = pika.BlockingConnection(broker.parameters())
        channel = connection.channel()
        taken = [channel.basic_get("billing_queue") for _ in range(20)]
        assert all(method for method, _, _ in taken)
        connection.close()
        wait_until(lambda: broker.depth("billing_queue") == 20, "the messages are back")
    state: ConsumerState = request.getfixturevalue("consuming")
    wait_for_rows(database, 20)
    assert state.phase is Phase.CONSUMING
    assert broker.depth("billing_dead_letter") == 0
