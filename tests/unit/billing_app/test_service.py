"""The app as it runs in its container: processes, health, signals, two at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from tests.library.apps import (
    Broker,
    Database,
    RunningApp,
    StartApp,
    base_environment,
    order_message,
    stored_orders,
)
from tests.library.programs import attempt
from tests.library.support import wait_until


def consumer_of(app: RunningApp) -> int:
    """Return the process that has a connection to the broker, by its name in the log of its parent."""
    # The first that is forked; the HTTP workers come after it.
    return min(app.children())


def test_it_is_ready_when_it_consumes_and_says_what_it_depends_on(start: StartApp) -> None:
    with start() as app:
        app.wait_for("/health/ready", 200)
        dependencies = app.get("/health/ready").json()["dependencies"]
        assert set(dependencies) == {"database", "broker", "consumer"}
        assert all(check["status"] == "up" for check in dependencies.values())


def test_its_numbers_count_what_the_consumer_did(start: StartApp, broker: Broker, database: Database) -> None:
    with start() as app:
        broker.put(order_message(1), order_message(1), order_message(2), b"no order")
        broker.dead_letters(1)
        wait_until(lambda: app.metric("billing_orders_repeated_total") == 1, "the repetition is counted")
        assert stored_orders(database) == 2
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
        broker.put(*(order_message(n) for n in range(2000)))
        wait_until(lambda: stored_orders(database) > 0, "the first orders are stored")
        app.process.terminate()
        assert app.process.wait(20) == 0, app.log()
    # Nothing was stored without its acknowledgement: what is left is exactly what is missing.
    assert stored_orders(database) + broker.depth("billing_queue") == 2000


def test_a_killed_consumer_ends_the_app_and_loses_nothing(
    start: StartApp, broker: Broker, database: Database
) -> None:
    broker.put(*(order_message(n) for n in range(3000)))
    for _ in range(3):
        with start() as app:
            before = stored_orders(database)
            wait_until(lambda before=before: stored_orders(database) > before, "it stores")  # type: ignore[misc]
            os.kill(consumer_of(app), signal.SIGKILL)
            assert app.process.wait(30) != 0
    with start():
        wait_until(lambda: stored_orders(database) == 3000, "all are stored")
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
            threading.Thread(target=broker.put, args=tuple(map(order_message, range(1000)))) for _ in range(2)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        wait_until(lambda: stored_orders(database) == 1000, "all are stored")
        counts = [app.metric("billing_messages_consumed_total") for app in (first, second)]
        assert all(counts)
    assert broker.depth("billing_queue") == 0
    assert broker.depth("billing_dead_letter") == 0


def test_a_candidate_checks_everything_and_takes_nothing(
    start: StartApp, broker: Broker, database: Database
) -> None:
    broker.put(order_message(1))
    with start(CANDIDATE="true") as app:
        app.wait_for("/health/ready", 200)
        assert set(app.get("/health/ready").json()["dependencies"]) == {"database", "broker"}
        assert broker.consumers() == 0
    assert stored_orders(database) == 0
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


@pytest.mark.parametrize("missing", ["rabbitmq_password", "database_password"])
def test_a_missing_secret_ends_it_at_once_with_one_sentence(variables: dict[str, str], missing: str) -> None:
    (Path(variables["SECRETS_DIRECTORY"]) / missing).unlink()
    result = attempt(sys.executable, "-m", "billing_app", "serve", env=base_environment() | variables)
    assert result.returncode == 78
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert missing in line
