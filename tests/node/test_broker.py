from __future__ import annotations

import json
from typing import Any

import pytest
from tests.node.node import Node

EXCHANGE, QUEUE, DEAD_LETTERS = "billing_orders", "billing_queue", "billing_dead_letter"
NOTHING = "^$"

# Run by an app's Python, with the app's own settings and secret. An attempt ends with its channel.
ATTEMPTS = """
import json, logging, os, pika

logging.disable()
parameters = pika.ConnectionParameters(
    os.environ["RABBITMQ_HOST"], socket_timeout=10,
    credentials=pika.PlainCredentials(
        os.environ["RABBITMQ_USER"], open("/run/secrets/rabbitmq_password").read().rstrip("\\n")
    ),
)

def publish(exchange, key):
    def act(channel):
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"{}", mandatory=True)
    return act

ACTIONS = {
    "declares a queue": lambda channel: channel.queue_declare("mine", durable=True),
    "declares an exchange": lambda channel: channel.exchange_declare("mine"),
    "deletes billing_queue": lambda channel: channel.queue_delete("billing_queue"),
    "empties billing_queue": lambda channel: channel.queue_purge("billing_queue"),
    "binds billing_queue": lambda channel: channel.queue_bind("billing_queue", "billing_orders", "mine"),
    "reads billing_queue": lambda channel: channel.basic_get("billing_queue"),
    "reads billing_dead_letter": lambda channel: channel.basic_get("billing_dead_letter"),
    "writes to the default exchange": publish("", "billing_dead_letter"),
    "writes to billing_orders": publish("billing_orders", "nowhere"),
    "writes to billing_dead_letter": publish("billing_dead_letter", ""),
    "looks at billing_queue": lambda channel: channel.queue_declare("billing_queue", passive=True),
    "looks at billing_orders": lambda channel: channel.exchange_declare("billing_orders", passive=True),
}

def attempt(action):
    connection = pika.BlockingConnection(parameters)
    try:
        action(connection.channel())
        return "done"
    except pika.exceptions.UnroutableError:
        return "done"
    except pika.exceptions.ChannelClosedByBroker as error:
        return error.reply_code
    finally:
        if connection.is_open:
            connection.close()

def login(user, password):
    changed = pika.ConnectionParameters(
        parameters.host, socket_timeout=10, credentials=pika.PlainCredentials(user, password)
    )
    try:
        pika.BlockingConnection(changed).close()
        return "let in"
    except pika.exceptions.ProbableAuthenticationError:
        return "refused"

print(json.dumps({
    "actions": {name: attempt(ACTIONS[name]) for name in NAMES},
    "logins": [login("guest", "guest"), login(os.environ["RABBITMQ_USER"], "wrong-password")],
}))
"""
REFUSED = 403

# Which of the attempts are an app's work; those of them that would take or leave something are skipped.
APPS: dict[str, dict[str, Any]] = {
    "api-gateway-app": {
        "allowed": {"writes to billing_orders", "looks at billing_queue", "looks at billing_orders"},
        "skipped": set(),
    },
    "billing-app": {
        "allowed": {"looks at billing_queue", "looks at billing_orders"},
        "skipped": {"reads billing_queue", "empties billing_queue", "writes to billing_dead_letter"},
    },
}
ACTIONS = [
    "declares a queue",
    "declares an exchange",
    "deletes billing_queue",
    "empties billing_queue",
    "binds billing_queue",
    "reads billing_queue",
    "reads billing_dead_letter",
    "writes to the default exchange",
    "writes to billing_orders",
    "writes to billing_dead_letter",
    "looks at billing_queue",
    "looks at billing_orders",
]


@pytest.fixture(scope="module")
def definitions(node: Node) -> dict[str, Any]:
    """All that exists at the broker."""
    answer: dict[str, Any] = json.loads(node.run("docker exec rabbitmq rabbitmqctl -q export_definitions -"))
    return answer


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def test_nobody_else_has_an_account(definitions: dict[str, Any], env: dict[str, str]) -> None:
    keys = (
        "RABBITMQ_DEFAULT_USER",
        "API_GATEWAY_APP_RABBITMQ_USER",
        "BILLING_APP_RABBITMQ_USER",
        "HEALTH_RABBITMQ_USER",
        "DEAD_LETTERS_RABBITMQ_USER",
    )
    names = {user["name"] for user in definitions["users"]}
    assert "guest" not in names
    assert names == {env[key] for key in keys}


def test_only_the_administrator_is_one(definitions: dict[str, Any], env: dict[str, str]) -> None:
    tags = {user["name"]: set(user["tags"]) for user in definitions["users"]}
    assert tags.pop(env["RABBITMQ_DEFAULT_USER"]) == {"administrator"}
    assert tags.pop(env["HEALTH_RABBITMQ_USER"]) <= {"monitoring"}
    assert all(tag == set() for tag in tags.values()), tags


def test_each_account_may_do_what_it_uses(definitions: dict[str, Any], env: dict[str, str]) -> None:
    permissions = {
        entry["user"]: (entry["configure"], entry["write"], entry["read"])
        for entry in definitions["permissions"]
    }
    assert permissions[env["API_GATEWAY_APP_RABBITMQ_USER"]] == (NOTHING, f"^{EXCHANGE}$", NOTHING)
    assert permissions[env["BILLING_APP_RABBITMQ_USER"]] == (NOTHING, f"^{DEAD_LETTERS}$", f"^{QUEUE}$")
    assert permissions[env["DEAD_LETTERS_RABBITMQ_USER"]] == (NOTHING, f"^{EXCHANGE}$", f"^{DEAD_LETTERS}$")
    configure, write, read = permissions[env["HEALTH_RABBITMQ_USER"]]
    assert (configure, write, read) == (NOTHING, NOTHING, NOTHING)


def test_the_queue_of_orders_is_a_durable_quorum_queue_with_dead_letters(definitions: dict[str, Any]) -> None:
    queue = named(definitions["queues"], QUEUE)
    assert queue["durable"] is True
    assert queue["auto_delete"] is False
    assert queue["arguments"] == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD_LETTERS,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def test_the_queue_of_dead_letters_is_a_durable_quorum_queue_too(definitions: dict[str, Any]) -> None:
    queue = named(definitions["queues"], DEAD_LETTERS)
    assert queue["durable"] is True
    assert queue["arguments"]["x-queue-type"] == "quorum"


def test_both_exchanges_are_durable(definitions: dict[str, Any]) -> None:
    for name, kind in ((EXCHANGE, "direct"), (DEAD_LETTERS, "fanout")):
        exchange = named(definitions["exchanges"], name)
        assert (exchange["type"], exchange["durable"], exchange["auto_delete"]) == (kind, True, False)


def test_each_exchange_fills_its_queue(definitions: dict[str, Any]) -> None:
    bindings = {(b["source"], b["routing_key"], b["destination"]) for b in definitions["bindings"]}
    assert bindings == {(EXCHANGE, "order", QUEUE), (DEAD_LETTERS, "", DEAD_LETTERS)}


@pytest.mark.parametrize("app", APPS)
def test_an_app_that_got_out_of_hand_can_do_no_more_than_its_work(node: Node, app: str) -> None:
    allowed, skipped = APPS[app]["allowed"], APPS[app]["skipped"]
    names = [name for name in ACTIONS if name not in skipped]
    answer = node.python(app, f"NAMES = {names!r}\n{ATTEMPTS}")
    assert answer["actions"] == {name: "done" if name in allowed else REFUSED for name in names}
    assert answer["logins"] == ["refused", "refused"]


def test_the_consumer_consumes(node: Node) -> None:
    consumers = node.run("docker exec rabbitmq rabbitmqctl -q list_queues name consumers --formatter json")
    assert {queue["name"]: queue["consumers"] for queue in json.loads(consumers)}[QUEUE] >= 1
