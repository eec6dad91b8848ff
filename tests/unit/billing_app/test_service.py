"""The app as it runs in its container: processes, health, signals, two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pika
import pytest
from helpers import Broker, Database, RunningApp, StartApp, base_environment
from pika.exceptions import ChannelClosedByBroker
from servers import wait_until


def message(number: int) -> dict[str, Any]:
    return {
        "order_id": str(uuid.UUID(int=number)),
        "user_id": "u",
        "number_of_items": 1 + number,
        "total_amount": "9.90",
    }


def stored(database: Database) -> int:
    [(number,)] = database.execute("SELECT count(*) FROM orders")
    return int(number)


def consumer_of(app: RunningApp) -> int:
    """Return the process that has a connection to the broker, by its name in the log of its parent."""
    # The first that is forked; the HTTP workers come after it.
    return min(app.children())


def test_an_order_can_be_read_when_it_is_stored(start: StartApp, broker: Broker, database: Database) -> None:
    assert stored(database) == 0
    with start() as app:
        path = f"/api/billing/{uuid.UUID(int=7)}"
        assert app.get(path).status == 404
        broker.put(message(7))
        app.wait_for(path, 200)
        document = app.get(path + "/").json()
        assert document.pop("stored_at").endswith("Z")
        assert document == {
            "order_id": str(uuid.UUID(int=7)),
            "user_id": "u",
            "number_of_items": 8,
            "total_amount": "9.90",
            "film_id": None,
        }
        assert app.get(path.upper().replace("/API/BILLING", "/api/billing")).status == 200
        for wrong in ("7", "x", str(uuid.UUID(int=7)).replace("-", ""), str(uuid.uuid4()), "%00"):
            assert app.get(f"/api/billing/{wrong}").status == 404
        refused = app.get(path + "?x=1")
        assert (refused.status, "x" in refused.json()["detail"]) == (400, True)


def test_it_is_ready_when_it_consumes_and_says_what_it_depends_on(start: StartApp) -> None:
    with start() as app:
        app.wait_for("/health/ready", 200)
        dependencies = app.get("/health/ready").json()["dependencies"]
        assert set(dependencies) == {"database", "broker", "consumer"}
        assert all(check["status"] == "up" for check in dependencies.values())


def test_its_numbers_count_what_the_consumer_did(start: StartApp, broker: Broker, database: Database) -> None:
    with start() as app:
        broker.put(message(1), message(1), message(2), b"no order")
        broker.dead_letters(1)
        wait_until(lambda: app.metric("billing_orders_repeated_total") == 1, "the repetition is counted")
        assert stored(database) == 2
        assert app.metric("billing_messages_consumed_total") == 4
        assert app.metric("billing_orders_stored_total") == 2
        assert app.metric('billing_messages_dead_lettered_total{reason_code="not_an_order"}') == 1
        assert app.metric("billing_batch_orders_count") >= 1
        assert app.metric("billing_consumer_last_round_timestamp_seconds") > 1e9


def test_sigterm_lets_it_finish_what_it_has_and_leave_the_rest(
    start: StartApp, broker: Broker, database: Database
) -> None:
    with start(PREFETCH="50") as app:
        app.wait_for("/health/ready", 200)
        broker.put(*(message(n) for n in range(2000)))
        wait_until(lambda: stored(database) > 0, "the first orders are stored")
        app.process.terminate()
        assert app.process.wait(20) == 0, app.log()
    # Nothing was stored without its acknowledgement: what is left is exactly what is missing.
    assert stored(database) + broker.depth("billing_queue") == 2000


def test_a_killed_consumer_ends_the_app_and_loses_nothing(
    start: StartApp, broker: Broker, database: Database
) -> None:
    broker.put(*(message(n) for n in range(3000)))
    for _ in range(3):
        with start() as app:
            before = stored(database)
            wait_until(lambda before=before: stored(database) > before, "it stores")  # type: ignore[misc]
            os.kill(consumer_of(app), signal.SIGKILL)
            assert app.process.wait(30) != 0
    with start():
        wait_until(lambda: stored(database) == 3000, "all are stored")
    assert broker.depth("billing_dead_letter") == 0


def test_a_consumer_that_stands_still_is_not_ready(start: StartApp) -> None:
    with start(HANG_SECONDS="6") as app:
        app.wait_for("/health/ready", 200)
        os.kill(consumer_of(app), signal.SIGSTOP)
        try:
            app.wait_for("/health/ready", 503)
            assert app.get("/health/ready").json()["dependencies"]["consumer"]["status"] == "down"
            # And then the watchdog ends it: nobody has to notice.
            assert app.process.wait(25) != 0
        finally:
            if app.process.poll() is None:
                os.kill(consumer_of(app), signal.SIGCONT)


def test_two_at_once_share_the_work(start: StartApp, broker: Broker, database: Database) -> None:
    with start(PREFETCH="20") as first, start(PREFETCH="20") as second:
        wait_until(lambda: broker.consumers() == 2, "both consume")
        senders = [
            threading.Thread(target=broker.put, args=tuple(map(message, range(1000)))) for _ in range(2)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        wait_until(lambda: stored(database) == 1000, "all are stored")
        counts = [app.metric("billing_messages_consumed_total") for app in (first, second)]
        assert all(counts)
    assert broker.depth("billing_queue") == 0
    assert broker.depth("billing_dead_letter") == 0


def test_a_candidate_checks_everything_and_takes_nothing(
    start: StartApp, broker: Broker, database: Database
) -> None:
    broker.put(message(1))
    with start(CANDIDATE="true") as app:
        app.wait_for("/health/ready", 200)
        assert set(app.get("/health/ready").json()["dependencies"]) == {"database", "broker"}
        assert broker.consumers() == 0
    assert stored(database) == 0
    assert broker.depth("billing_queue") == 1


@pytest.mark.parametrize(
    "wrong",
    [{"RABBITMQ_USER": "api-gateway-app"}, {"BILLING_QUEUE": "missing"}, {"RABBITMQ_PORT": "1"}],
    ids=["account", "queue", "address"],
)
def test_a_candidate_with_a_wrong_broker_is_not_ready_and_stays(
    start: StartApp, wrong: dict[str, str]
) -> None:
    with start(CANDIDATE="true", **wrong) as app:
        ready = app.get("/health/ready")
        assert ready.status == 503
        assert ready.json()["dependencies"]["broker"]["status"] == "down"
        assert app.process.poll() is None


@pytest.mark.parametrize(
    ("account", "what"),
    [
        ("billing-app", "publish to billing_orders"),
        ("billing-app", "publish to the default exchange"),
        ("billing-app", "declare a queue"),
        ("api-gateway-app", "consume billing_queue"),
        ("api-gateway-app", "publish to billing_dead_letter"),
    ],
)
def test_the_broker_accounts_may_do_no_more_than_their_work(broker: Broker, account: str, what: str) -> None:
    parameters = pika.ConnectionParameters(
        "127.0.0.1",
        broker.server.port,
        "billing",
        credentials=pika.PlainCredentials(account, broker.passwords[account]),
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    attempts: Mapping[str, Callable[[], object]] = {
        "publish to billing_orders": lambda: channel.basic_publish("billing_orders", "order", b"x"),
        "publish to the default exchange": lambda: channel.basic_publish("", "billing_queue", b"x"),
        "declare a queue": lambda: channel.queue_declare("mine"),
        "consume billing_queue": lambda: channel.basic_get("billing_queue"),
        "publish to billing_dead_letter": lambda: channel.basic_publish("billing_dead_letter", "", b"x"),
    }
    with pytest.raises(ChannelClosedByBroker) as refusal:
        attempts[what]()
    assert refusal.value.reply_code == 403
    connection.close()


@pytest.mark.parametrize("missing", ["rabbitmq_password", "database_password"])
def test_a_missing_secret_ends_it_at_once_with_one_sentence(variables: dict[str, str], missing: str) -> None:
    (Path(variables["SECRETS_DIRECTORY"]) / missing).unlink()
    result = subprocess.run(
        [sys.executable, "-m", "billing_app", "serve"],
        env=base_environment() | variables,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode == 78
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert missing in line
