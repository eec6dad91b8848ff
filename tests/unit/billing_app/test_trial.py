"""Messages that end the process which handles them, and those that only were there when one ended."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pika
import pytest
from tests.library.apps import DEAD_LETTERS, Broker, Database, StartApp, order_message, stored_orders
from tests.library.support import wait_until

from billing_app import consumer as consumer_module
from billing_app import trial
from billing_app.judge import judge
from billing_app.state import ConsumerState
from billing_app.trial import Crash, Undecided, try_alone

DEADLY = "deadly"


def nothing() -> None:
    """Waits for nothing."""


def fill_the_memory() -> None:
    bytearray(1 << 30)


def compute_for_ever() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "how"),
    [
        (lambda: ctypes.string_at(0), "was ended by the signal SIGSEGV"),
        (lambda: os._exit(3), "ended itself with the code 3"),
        (os.abort, "was ended by the signal SIGABRT"),
        (lambda: os.environ["MISSING"], "failed with KeyError"),
        (fill_the_memory, "failed with MemoryError"),
        (compute_for_ever, "was ended by the signal SIGXCPU"),
    ],
    ids=["crash", "exit", "abort", "exception", "memory", "endless"],
)
def test_what_ends_its_process_by_itself_is_told_by_how_it_ended(
    work: Callable[[], object], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "CPU_SECONDS", 1)

    def run() -> None:
        # pytest's own report of a crash would look like a failure.
        faulthandler.disable()
        work()

    assert try_alone(run, nothing) == Crash(how)


def test_what_comes_to_its_end_did_not_crash() -> None:
    assert try_alone(nothing, nothing) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_that_people_send_says_nothing_about_the_work(number: signal.Signals) -> None:
    with pytest.raises(Undecided, match=number.name):
        try_alone(lambda: os.kill(os.getpid(), number), nothing)


def deliver_often(broker: Broker, number: int) -> None:
    """Let the messages in the queue be in the hands of consumers that end."""
    for _ in range(4):
        with broker.channel() as channel:
            taken = [channel.basic_get("billing_queue") for _ in range(number)]
            assert all(method for method, _, _ in taken)
        wait_until(lambda: broker.depth("billing_queue") == number, "the messages are back")


def test_a_message_that_ends_every_process_is_a_dead_letter_and_the_others_are_stored(
    broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    parent = os.getpid()

    def judge_deadly(body: bytes, *further: Any) -> Any:
        if DEADLY.encode() in body:
            assert os.getpid() != parent, "it is only tried where it can do no harm"
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return judge(body, *further)

    monkeypatch.setattr(consumer_module, "judge", judge_deadly)
    broker.put(*(order_message(n, **({"user_id": DEADLY} if n == 3 else {})) for n in range(10)))
    deliver_often(broker, 10)
    request.getfixturevalue("consuming")
    wait_until(lambda: stored_orders(database) == 9, "the others are stored")
    [letter] = broker.dead_letters(1)
    assert json.loads(letter.body)["user_id"] == DEADLY
    assert letter.headers["reason_code"] == "crashes_consumer"
    assert "tried alone 5 times" in letter.headers["reason"]
    assert "SIGSEGV" in letter.headers["reason"]


def test_a_fault_of_ours_in_judging_takes_nothing_along(
    broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def judge_wrongly(body: bytes, *further: Any) -> Any:
        if DEADLY.encode() in body:
            raise KeyError(DEADLY)
        return judge(body, *further)

    monkeypatch.setattr(consumer_module, "judge", judge_wrongly)
    broker.put(*(order_message(n, **({"user_id": DEADLY} if n == 3 else {})) for n in range(10)))
    request.getfixturevalue("consuming")
    wait_until(lambda: stored_orders(database) == 9, "the others are stored")
    [letter] = broker.dead_letters(1)
    assert "KeyError" in letter.headers["reason"]


def test_a_trial_without_the_database_condemns_nobody(
    broker: Broker, database: Database, request: pytest.FixtureRequest
) -> None:
    broker.put(*(order_message(n) for n in range(5)))
    deliver_often(broker, 5)
    database.execute("REVOKE INSERT ON orders FROM app")
    try:
        state: ConsumerState = request.getfixturevalue("consuming")
        wait_until(lambda: broker.depth("billing_queue") == 0, "all are in hand")
        for _ in range(20):
            assert broker.depth("billing_queue") == broker.depth(DEAD_LETTERS) == 0
    finally:
        database.execute("GRANT INSERT ON orders TO app")
    wait_until(lambda: stored_orders(database) == 5, "all are stored")
    assert state.check_consumer(10)["status"] == "up"
    assert broker.depth(DEAD_LETTERS) == 0


def test_orders_in_the_hands_of_many_killed_apps_are_no_dead_letters(
    start: StartApp, broker: Broker, database: Database
) -> None:
    """An operator kills the app again and again, each time with the same orders in hand."""
    broker.put(*(order_message(n) for n in range(50)))
    database.execute("REVOKE INSERT ON orders FROM app")
    try:
        for _ in range(5):
            with start() as app:
                wait_until(lambda: broker.depth("billing_queue") == 0, "the app has all in hand")
                os.killpg(app.process.pid, signal.SIGKILL)
                app.process.wait()
            wait_until(lambda: broker.depth("billing_queue") == 50, "all are back")
    finally:
        database.execute("GRANT INSERT ON orders TO app")
    with start():
        wait_until(lambda: stored_orders(database) == 50, "all are stored")
    assert broker.depth(DEAD_LETTERS) == 0


@pytest.mark.usefixtures("consuming")
def test_headers_that_cannot_be_read_cost_nobody_his_order(
    broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode_milliseconds(pieces: list[bytes], _value: object) -> int:
        # A time of the year 55,000, as of a client that takes milliseconds for seconds.
        pieces.append(b"T" + (1_700_000_000_000).to_bytes(8, "big"))
        return 9

    with monkeypatch.context() as patch:
        patch.setattr(pika.data, "encode_value", encode_milliseconds)
        broker.put(order_message(1), headers={"sent": 1}, message_id="m", content_type="application/json")
    broker.put(order_message(2))
    wait_until(lambda: stored_orders(database) == 2, "both are stored")
    assert broker.depth(DEAD_LETTERS) == 0


@pytest.mark.usefixtures("consuming")
def test_a_message_id_that_is_no_text_identifies_an_order_too(broker: Broker, database: Database) -> None:
    order = {"user_id": "u", "number_of_items": 1, "total_amount": 1}
    for _ in range(2):
        broker.put(order, message_id=b"\xff\xfe")
    broker.put(order_message(2))
    wait_until(lambda: stored_orders(database) == 2, "the two orders are stored")
    assert broker.depth(DEAD_LETTERS) == 0
