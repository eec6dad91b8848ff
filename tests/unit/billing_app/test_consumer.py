"""The consumer between a real broker and a real database."""

from __future__ import annotations

import gzip
import json

import pika
import pytest
from helpers import Broker, Database
from servers import wait_until
from stored_orders import message, stored

from billing_app.state import ConsumerState, Phase


def wait_for_rows(database: Database, number: int, seconds: float = 30) -> None:
    wait_until(lambda: stored(database) == number, f"{number} rows", seconds)


def wait_for_acknowledgements(broker: Broker) -> None:
    """Wait until no message is ready or in somebody's hands: a purge then deletes nothing."""
    listing = ("list_queues", "--vhost", "billing", "name", "messages", "--no-table-headers")
    wait_until(lambda: "billing_queue\t0" in broker.server.control(*listing), "an empty queue")


def test_orders_by_hand_are_stored_and_acknowledged(
    consuming: ConsumerState, broker: Broker, database: Database
) -> None:
    broker.put({"user_id": "20", "number_of_items": "99", "total_amount": "250"})
    broker.put({"film_id": 1, "user_id": "user123"})
    wait_for_rows(database, 2)
    rows = database.execute(
        "SELECT user_id, number_of_items, total_amount::text, film_id FROM orders ORDER BY 1"
    )
    assert rows == [("20", 99, "250.00", None), ("user123", 1, None, 1)]
    wait_for_acknowledgements(broker)
    assert consuming.phase is Phase.CONSUMING
    assert consuming.check_consumer(10)["status"] == "up"


@pytest.mark.usefixtures("consuming")
def test_an_order_that_comes_again_is_stored_once(broker: Broker, database: Database) -> None:
    same = {"user_id": "u", "number_of_items": 1, "total_amount": "1"}
    broker.put(message(1), message(1), message(2))
    broker.put(same, same, message_id="by hand")
    broker.put(message(1))
    wait_for_rows(database, 3)
    wait_for_acknowledgements(broker)
    assert stored(database) == 3
    assert broker.depth("billing_dead_letter") == 0


@pytest.mark.usefixtures("consuming")
def test_what_is_no_order_becomes_a_dead_letter_and_blocks_nothing(
    broker: Broker, database: Database
) -> None:
    poison = [b"", b"null", b"\xff", b'{"user_id": "u"}', b"[" * 10_000, b"x" * 1024 * 1024]
    for number, body in enumerate(poison):
        broker.put(message(number), body)
    wait_for_rows(database, len(poison))
    letters = broker.dead_letters(len(poison))
    assert sorted(letter.body for letter in letters) == sorted(poison)
    for letter in letters:
        assert letter.headers["reason_code"] == "not_an_order"
        assert len(letter.headers["reason"]) > 10
        assert letter.properties.delivery_mode == 2
    wait_for_acknowledgements(broker)


@pytest.mark.usefixtures("consuming")
def test_a_compressed_message_is_a_dead_letter_that_says_so(broker: Broker) -> None:
    body = gzip.compress(json.dumps(message(1)).encode())
    broker.put(body, content_type="application/json", content_encoding="gzip")
    [letter] = broker.dead_letters(1)
    assert (letter.body, letter.properties.content_encoding) == (body, "gzip")
    assert letter.headers["reason"] == (
        "The body is compressed with gzip. Send plain JSON. It came with the content encoding gzip."
    )


@pytest.mark.usefixtures("consuming")
def test_plain_json_is_an_order_though_it_is_declared_as_compressed(
    broker: Broker, database: Database
) -> None:
    broker.put(message(1), content_type="text/plain", content_encoding="gzip")
    wait_for_rows(database, 1)


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
def test_a_known_id_with_another_content_is_a_dead_letter(broker: Broker, database: Database) -> None:
    broker.put(message(1))
    wait_for_rows(database, 1)
    broker.put(message(1, number_of_items=77), message(2))
    wait_for_rows(database, 2)
    [letter] = broker.dead_letters(1)
    assert json.loads(letter.body)["number_of_items"] == 77
    assert letter.headers["reason_code"] == "conflict"
    assert database.execute("SELECT number_of_items FROM orders ORDER BY order_id") == [(2,), (3,)]


@pytest.mark.usefixtures("consuming")
def test_one_order_that_the_database_refuses_does_not_take_its_batch_along(
    broker: Broker, database: Database
) -> None:
    database.execute("ALTER TABLE orders ADD CONSTRAINT no_devil CHECK (user_id <> 'devil')")
    try:
        broker.put(*(message(n, **({"user_id": "devil"} if n in {7, 60} else {})) for n in range(100)))
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
    broker.put(message(1))
    wait_for_rows(database, 1)
    database.server.stop("immediate")
    try:
        broker.put(*(message(n) for n in range(2, 12)), b"no order")
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
        broker.put(message(1), message(2))
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
        broker.put(b"no order", message(1))
        wait_for_rows(database, 1)
        broker.put(message(2))
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
    broker.put(message(1))
    wait_for_rows(database, 1)
    broker.server.kill()
    wait_until(lambda: consuming.check_broker()["status"] == "down", "the loss is seen")
    broker.server.start()
    wait_until(lambda: consuming.phase is Phase.CONSUMING, "the consumer is back", 60)
    broker.put(message(2))
    wait_for_rows(database, 2)


@pytest.mark.parametrize("connections", ["all"])
def test_a_connection_closed_by_the_broker_is_opened_again(
    consuming: ConsumerState, broker: Broker, database: Database, connections: str
) -> None:
    wait_until(lambda: consuming.phase is Phase.CONSUMING, "the consumer consumes")
    broker.server.control("close_all_connections", "--vhost", "billing", f"test: {connections}")
    broker.put(message(1))
    wait_for_rows(database, 1)


def test_many_deliveries_condemn_no_order(
    broker: Broker, database: Database, request: pytest.FixtureRequest
) -> None:
    broker.put(*(message(n) for n in range(20)))
    parameters = pika.ConnectionParameters(
        "127.0.0.1",
        broker.server.port,
        "billing",
        credentials=pika.PlainCredentials(broker.server.user, broker.server.password),
    )
    for _ in range(4):
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        taken = [channel.basic_get("billing_queue") for _ in range(20)]
        assert all(method for method, _, _ in taken)
        connection.close()
        wait_until(lambda: broker.depth("billing_queue") == 20, "the messages are back")
    state: ConsumerState = request.getfixturevalue("consuming")
    wait_for_rows(database, 20)
    assert state.phase is Phase.CONSUMING
    assert broker.depth("billing_dead_letter") == 0
