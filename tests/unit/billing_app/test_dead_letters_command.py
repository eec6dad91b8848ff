"""What an operator does with dead letters, at a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pika
import pytest
from tests.library.apps import DEAD_LETTERS, Broker, Database, base_environment, stored_orders
from tests.library.programs import attempt
from tests.library.support import wait_until

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(broker: Broker, tmp_path: Path) -> Command:
    """Run `dead-letters …` under the account that is made for it."""
    directory = tmp_path / "operator"
    directory.mkdir()
    (directory / "rabbitmq_password").write_text(broker.passwords["dead-letters"])
    return partial(dead_letters, broker.variables | {"RABBITMQ_USER": "dead-letters"}, directory)


def dead_letters(
    variables: Mapping[str, str], secrets: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    environment = {**base_environment(), **variables, "SECRETS_DIRECTORY": str(secrets)}
    return attempt(sys.executable, "-m", "billing_app", "dead-letters", *arguments, env=environment)


def put_dead_letters(broker: Broker, *bodies: bytes, code: str = "not_an_order") -> None:
    with broker.channel() as channel:
        for number, body in enumerate(bodies):
            headers = {
                "reason": f"The reason {number}.",
                "reason_code": code,
                "dead_letter_id": str(uuid.UUID(int=(number + 1) << 96)),
                "dead_letter_time": "2030-01-02T03:04:05+00:00",
            }
            properties = pika.BasicProperties(headers=headers, delivery_mode=2, message_id=f"m-{number}")
            channel.basic_publish(DEAD_LETTERS, "", body, properties)
    wait_until(lambda: broker.depth(DEAD_LETTERS) >= len(bodies), "they are there")


def listed(command: Command, *arguments: str) -> list[dict[str, Any]]:
    result = command("list", "--format", "json", *arguments)
    assert result.returncode == 0, result.stderr
    letters: list[dict[str, Any]] = json.loads(result.stdout)
    return letters


def bodies(letters: list[dict[str, Any]]) -> list[str]:
    return [letter["body"] for letter in letters]


def test_an_empty_queue_is_said_to_be_empty(command: Command) -> None:
    assert command("list").stdout == "There are no dead letters.\n"
    assert listed(command) == []
    assert command("retry").stdout == "There are no dead letters.\n"


def test_looking_neither_removes_nor_reorders(broker: Broker, command: Command) -> None:
    expected = [f"letter {number}" for number in range(300)]
    put_dead_letters(broker, *(text.encode() for text in expected))
    for _ in range(3):
        assert bodies(listed(command, "--limit", "1000")) == expected
        wait_until(lambda: broker.depth(DEAD_LETTERS) == 300, "all are back")
    table = command("list", "--limit", "2").stdout
    assert "298 more are not shown." in table
    # Taken by hand, they come in the same order still.
    assert [letter.body.decode() for letter in broker.dead_letters(300)] == expected


def test_the_table_tells_which_when_why_and_whose(broker: Broker, command: Command) -> None:
    order_id = str(uuid.uuid4())
    put_dead_letters(
        broker,
        json.dumps({"order_id": order_id, "user_id": "u"}).encode(),
        b'{"user_id": 12345678901234567.0, "number_of_items": 0}',
        b"\xff\x1b[31mred",
        b"",
        b"x" * 1024 * 1024,
    )
    lines = command("list").stdout.splitlines()
    assert lines[1].split() == ["1", "00000001", "2030-01-02", "03:04:05", "not_an_order", "0", order_id]
    assert lines[2].strip() == "The reason 0."
    assert lines[4].split()[-1] == "12345678901234567.0", "as it was sent, with all digits"
    assert lines[9].strip() == r"\xff\x1b[31mred", "nothing that a terminal obeys"
    assert lines[12].strip() == "(an empty body)"
    assert lines[15].strip() == "x" * 100 + "…"


def test_one_can_be_looked_at_whole(broker: Broker, command: Command) -> None:
    body = b'{"user_id": "' + b"y" * 5000
    put_dead_letters(broker, b"first", body)
    result = command("show", "--id", "00000002")
    assert body.decode() in result.stdout
    assert "The reason 1." in result.stdout
    assert "m-1" in result.stdout
    assert broker.depth(DEAD_LETTERS) == 2
    missing = command("show", "--id", "99999999")
    assert missing.returncode == 1
    assert missing.stderr == (
        "There is no dead letter with the id 99999999: the list shows which there are.\n"
    )


def test_what_was_no_order_by_our_fault_is_one_order_when_it_is_put_back(
    broker: Broker, command: Command, database: Database, request: pytest.FixtureRequest
) -> None:
    order = b'{"user_id": "u", "number_of_items": 1, "total_amount": 1}'
    put_dead_letters(broker, order, b"poison", order)
    request.getfixturevalue("consuming")
    result = command("retry")
    assert result.stdout == "3 dead letters put back into the queue of orders.\n", result.stderr
    wait_until(lambda: stored_orders(database) == 2, "the two orders, which have two message ids")
    wait_until(lambda: broker.depth(DEAD_LETTERS) == 1, "the poison is back")
    [letter] = listed(command)
    assert (letter["body"], letter["retries"], letter["message_id"]) == ("poison", 1, "m-1")
    assert letter["reason_code"] == "not_an_order"
    assert letter["reason"] != "The reason 1."
    command("retry")
    wait_until(
        lambda: [letter["retries"] for letter in listed(command)] == [2], "it is back again, and counted"
    )


def test_putting_one_back_twice_is_one_order(
    broker: Broker, command: Command, database: Database, request: pytest.FixtureRequest
) -> None:
    """As after a crash between the confirm of the copy and the removal of the dead letter."""
    request.getfixturevalue("consuming")
    # Without any id of its own, and refused by the database for now.
    database.execute("ALTER TABLE orders ADD CONSTRAINT fix_me CHECK (user_id <> 'u')")
    try:
        broker.put({"user_id": "u", "number_of_items": 1, "total_amount": 1})
        wait_until(lambda: broker.depth(DEAD_LETTERS) == 1, "it is a dead letter")
    finally:
        database.execute("ALTER TABLE orders DROP CONSTRAINT fix_me")
    [letter] = broker.dead_letters(1)
    with broker.channel() as channel:
        for _ in range(2):
            channel.basic_publish(DEAD_LETTERS, "", letter.body, letter.properties)
    command("retry")
    broker.put({"order_id": str(uuid.uuid4()), "user_id": "last", "number_of_items": 1, "total_amount": 1})
    wait_until(
        lambda: bool(database.execute("SELECT 1 FROM orders WHERE user_id = 'last'")), "the last is stored"
    )
    assert stored_orders(database) == 2
    assert broker.depth(DEAD_LETTERS) == 0


def test_some_can_be_chosen_by_id_or_reason(broker: Broker, command: Command) -> None:
    put_dead_letters(broker, b"a", b"b", b"c")
    put_dead_letters(broker, b"d", code="conflict")
    assert bodies(listed(command, "--reason", "conflict")) == ["d"]
    assert command("retry", "--reason", "conflict").stdout.startswith("1 dead letter put back")
    assert command("retry", "--id", "00000002").stdout.startswith("1 dead letter put back")
    assert bodies(listed(command)) == ["a", "c"]
    assert broker.depth("billing_queue") == 2
    assert command("drop", "--id", "00000001").stdout == "1 dead letter removed for good.\n"
    assert bodies(listed(command)) == ["c"]
    refused = command("drop")
    assert (refused.returncode, broker.depth(DEAD_LETTERS)) == (1, 1)
    assert refused.stderr == "Which ones? Give an id or a reason code, as the list shows them.\n"


def test_two_at_once_are_not_possible(broker: Broker, command: Command) -> None:
    put_dead_letters(broker, b"a")
    with broker.channel() as channel:
        channel.basic_consume(DEAD_LETTERS, lambda *_: None)
        result = command("retry")
    assert result.returncode == 1
    assert result.stderr == "Somebody else is looking at the dead letters at the moment: try again.\n"
    wait_until(lambda: broker.depth(DEAD_LETTERS) == 1, "it is still there")


def test_without_the_queue_of_orders_nothing_is_lost(broker: Broker, command: Command) -> None:
    put_dead_letters(broker, b"a", b"b")
    with broker.channel() as channel:
        channel.queue_unbind("billing_queue", "billing_orders", "order")
    try:
        result = command("retry")
    finally:
        with broker.channel() as channel:
            channel.queue_bind("billing_queue", "billing_orders", "order")
    assert result.returncode == 1
    assert "still among the dead letters" in result.stderr
    assert bodies(listed(command)) == ["a", "b"]


def test_without_the_broker_it_says_so(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "rabbitmq_password").write_text("none")
    result = dead_letters(broker.variables | {"RABBITMQ_PORT": "1"}, tmp_path, "list")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "is it running?" in line
