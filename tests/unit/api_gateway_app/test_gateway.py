from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.library.apps import Broker
from tests.library.gateway import Gateway, StartGateway
from tests.library.raw import Answer
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

from api_gateway_app.orders.store import FILE_NAME

ORDER = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}


def accepted(answers: list[Answer]) -> list[str]:
    return [answer.json()["order_id"] for answer in answers if answer.status == 200]


def many(gateway: Gateway, count: int, threads: int = 16) -> list[Answer]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda number: gateway.post_order(ORDER | {"user_id": number}), range(count)))


def test_an_order_goes_to_the_queue_as_it_was_meant(start_gateway: StartGateway, topology: Broker) -> None:
    gateway = start_gateway()
    gateway.wait_for_broker()
    answer = gateway.request("POST", "/api/billing/", ORDER, {"X-Request-ID": "mine"})
    assert answer.status == 200
    order_id = answer.json()["order_id"]
    assert answer.json() == {"message": "Message posted", "order_id": order_id}
    assert uuid.UUID(order_id).version == 4
    film = gateway.post_order({"film_id": 1, "user_id": "user123"}).json()["order_id"]
    message, film_message = topology.take()
    assert (message.properties.message_id, message.headers["X-Request-ID"]) == (order_id, "mine")
    assert (message.properties.delivery_mode, message.properties.content_type) == (2, "application/json")
    assert message.json() == {
        "order_id": order_id,
        "user_id": "20",
        "number_of_items": 99,
        "total_amount": "250.00",
        "film_id": None,
    }
    assert film_message.json() == {
        "order_id": film,
        "user_id": "user123",
        "number_of_items": 1,
        "total_amount": None,
        "film_id": 1,
    }
    assert gateway.metric('orders_published_total{outcome="confirmed"}') == 2


@pytest.mark.usefixtures("topology")
def test_a_key_is_remembered_over_a_crash(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    first = gateway.post_order(ORDER, "key").json()["order_id"]
    gateway.kill()
    gateway.start()
    assert gateway.post_order(ORDER, "key").json()["order_id"] == first
    assert gateway.post_order(ORDER | {"number_of_items": 1}, "key").status == 422


def test_with_a_paused_broker_orders_are_kept_at_once_and_handed_over_afterwards(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    gateway = start_gateway()
    gateway.wait_for_broker()
    before = accepted(many(gateway, 10))
    rabbitmq.pause()
    # The first ones, of each worker, wait for their confirms.
    waited = many(gateway, 40)
    began = time.monotonic()
    kept = many(gateway, 200)
    assert time.monotonic() - began < 2
    health = gateway.health()
    assert health["status"] == "degraded"
    assert health["dependencies"]["rabbitmq"]["status"] == "down"
    assert health["dependencies"]["order-store"]["depth"] >= 200
    assert {answer.status for answer in waited + kept} == {200}
    rabbitmq.resume()
    wait_until(lambda: gateway.health()["dependencies"]["order-store"]["depth"] == 0, "all are handed over")
    assert set(topology.order_ids()) == {*before, *accepted(waited), *accepted(kept)}


def test_where_an_order_can_be_kept_nowhere_it_is_refused_until_there_is_room_again(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    gateway = start_gateway(ORDERS_MAXIMUM_BYTES=str(1 << 16), WORKERS="1")
    wait_until(lambda: gateway.health()["dependencies"]["rabbitmq"]["status"] == "up", "the broker is up")
    rabbitmq.pause()
    answers = many(gateway, 400)
    assert {answer.status for answer in answers} == {200, 503}
    refusal = next(answer for answer in answers if answer.status == 503)
    assert refusal.header("Retry-After") == "5"
    assert "Send it again" in refusal.json()["detail"]
    rabbitmq.resume()
    wait_until(lambda: gateway.post_order().status == 200, "orders are accepted again")
    wait_until(lambda: gateway.health()["dependencies"]["order-store"].get("depth") == 0, "nothing waits")
    assert set(topology.order_ids()) >= set(accepted(answers))


@pytest.mark.usefixtures("topology")
def test_where_orders_are_not_kept_they_are_refused_while_the_broker_is_away(
    start_gateway: StartGateway, rabbitmq: RabbitMQ
) -> None:
    gateway = start_gateway(KEEP_ORDERS="false", WORKERS="1")
    wait_until(lambda: gateway.post_order().status == 200, "the broker takes orders")
    rabbitmq.pause()
    refused = many(gateway, 20)
    assert {(answer.status, answer.header("Retry-After")) for answer in refused} == {(503, "5")}
    assert gateway.health()["dependencies"]["order-store"]["depth"] == 0
    rabbitmq.resume()
    wait_until(lambda: gateway.post_order().status == 200, "the broker takes orders again")


@pytest.mark.usefixtures("topology")
def test_it_is_unready_when_it_can_keep_nothing_and_says_so(
    start_gateway: StartGateway, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / FILE_NAME).write_bytes(b"no database" * 1000)
    gateway = start_gateway(WORKERS="1")
    wait_until(lambda: gateway.health()["dependencies"]["rabbitmq"]["status"] == "up", "the broker is up")
    assert gateway.health()["dependencies"]["order-store"]["status"] == "down"
    assert gateway.health()["status"] == "degraded"
    assert gateway.post_order().status == 200
    rabbitmq.pause()
    assert gateway.post_order().status == 503
    answer = gateway.request("GET", "/health/ready")
    assert (answer.status, answer.json()["status"]) == (503, "unready")
    assert gateway.request("GET", "/health/live").status == 200


def test_it_starts_and_keeps_orders_without_any_dependency(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.pause()
    gateway = start_gateway()
    kept = accepted(many(gateway, 20))
    assert len(kept) == 20
    dependencies = gateway.health()["dependencies"]
    assert dependencies.keys() == {"inventory-app", "billing-app", "rabbitmq", "order-store"}
    assert [name for name, check in dependencies.items() if check["status"] == "up"] == ["order-store"]
    rabbitmq.resume()
    wait_until(lambda: gateway.health()["dependencies"]["order-store"]["depth"] == 0, "all are handed over")
    assert set(topology.order_ids()) == set(kept)


def test_a_candidate_hands_over_nothing(
    start_gateway: StartGateway, topology: Broker, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.pause()
    gateway = start_gateway()
    kept = accepted(many(gateway, 5))
    gateway.kill()
    rabbitmq.resume()
    candidate = start_gateway(CANDIDATE="true")
    wait_until(lambda: candidate.health()["dependencies"]["rabbitmq"]["status"] == "up", "it is connected")
    time_for_a_forwarder = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > time_for_a_forwarder, "a forwarder would have worked by now")
    assert candidate.health()["dependencies"]["order-store"]["depth"] == len(kept)
    assert (
        not (candidate.orders_directory / "forwarder.lock").exists()
        or candidate.metric("orders_forwarded_total") == 0
    )
    assert candidate.stop() == 0
    assert topology.order_ids() == []


@pytest.mark.usefixtures("topology")
def test_it_stops_cleanly_on_sigterm(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    wait_until(lambda: gateway.output.count("The broker is connected") == 2, "both workers have started")
    assert gateway.post_order().status == 200
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output, gateway.output[-4000:]
