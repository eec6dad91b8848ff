from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from tests.library.management_page import ManagementPage
from tests.library.settings import DEBIAN
from tests.node.node import Node

EXCHANGE, QUEUE, DEAD_LETTERS = "billing_orders", "billing_queue", "billing_dead_letter"
NOTHING = "^$"


@dataclass(frozen=True)
class Account:
    """An account at the broker, as data: a new one is one line in ACCOUNTS.

    `key`: of `.env`, without _USER and _PASSWORD. `container`: the one that has its password mounted, if any.
    """

    key: str
    container: str | None = None
    writes: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


ACCOUNTS = (
    Account("API_GATEWAY_APP_RABBITMQ", "api-gateway-app", writes=frozenset({EXCHANGE})),
    Account(
        "BILLING_APP_RABBITMQ",
        "billing-app",
        writes=frozenset({DEAD_LETTERS}),
        reads=frozenset({QUEUE}),
    ),
    Account("DEAD_LETTERS_RABBITMQ", writes=frozenset({EXCHANGE}), reads=frozenset({DEAD_LETTERS})),
    Account("HEALTH_RABBITMQ", tags=frozenset({"monitoring"})),
)
each_account = pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.key)


@dataclass(frozen=True)
class Attempt:
    """Something that an account may try over AMQP.

    `code`: a call of pika. `needs`: each right that it takes. `is_work`: where the account has these
    rights it would take or leave something, and that it works is shown by every order.
    """

    code: str
    needs: tuple[tuple[str, str], ...]
    is_work: bool = False


CONFIGURE, WRITE, READ = "configure", "writes", "reads"
ATTEMPTS = {
    "declare a queue": Attempt('channel.queue_declare("mine", durable=True)', ((CONFIGURE, "mine"),)),
    "declare a queue for itself": Attempt('channel.queue_declare("", exclusive=True)', ((CONFIGURE, ""),)),
    "declare an exchange": Attempt('channel.exchange_declare("mine")', ((CONFIGURE, "mine"),)),
    "delete the queue": Attempt('channel.queue_delete("billing_queue")', ((CONFIGURE, QUEUE),)),
    "delete the dead letters": Attempt(
        'channel.queue_delete("billing_dead_letter")', ((CONFIGURE, DEAD_LETTERS),)
    ),
    "delete the exchange": Attempt('channel.exchange_delete("billing_orders")', ((CONFIGURE, EXCHANGE),)),
    "empty the queue": Attempt('channel.queue_purge("billing_queue")', ((READ, QUEUE),), is_work=True),
    "empty the dead letters": Attempt(
        'channel.queue_purge("billing_dead_letter")', ((READ, DEAD_LETTERS),), is_work=True
    ),
    "bind the queue": Attempt(
        'channel.queue_bind("billing_queue", "billing_orders", "mine")', ((WRITE, QUEUE), (READ, EXCHANGE))
    ),
    "unbind the queue": Attempt(
        'channel.queue_unbind("billing_queue", "billing_orders", "order")',
        ((WRITE, QUEUE), (READ, EXCHANGE)),
    ),
    "bind the exchanges": Attempt(
        'channel.exchange_bind("billing_dead_letter", "billing_orders", "order")',
        ((WRITE, DEAD_LETTERS), (READ, EXCHANGE)),
    ),
    "take from the queue": Attempt('channel.basic_get("billing_queue")', ((READ, QUEUE),), is_work=True),
    "take from the dead letters": Attempt(
        'channel.basic_get("billing_dead_letter")', ((READ, DEAD_LETTERS),), is_work=True
    ),
    "consume the queue": Attempt(
        'channel.basic_consume("billing_queue", print)', ((READ, QUEUE),), is_work=True
    ),
    "consume the dead letters": Attempt(
        'channel.basic_consume("billing_dead_letter", print)', ((READ, DEAD_LETTERS),), is_work=True
    ),
    "write to the queue past its exchange": Attempt(
        'publish("", "billing_queue")', ((WRITE, "amq.default"),)
    ),
    "write to the dead letters past their exchange": Attempt(
        'publish("", "billing_dead_letter")', ((WRITE, "amq.default"),)
    ),
    "write to an exchange of the broker": Attempt('publish("amq.topic", "x")', ((WRITE, "amq.topic"),)),
    "write an order": Attempt('publish("billing_orders", "nowhere")', ((WRITE, EXCHANGE),)),
    "write a dead letter": Attempt(
        'publish("billing_dead_letter", "")', ((WRITE, DEAD_LETTERS),), is_work=True
    ),
    "look at the queue": Attempt('channel.queue_declare("billing_queue", passive=True)', ()),
    "look at the exchange": Attempt('channel.exchange_declare("billing_orders", passive=True)', ()),
}

# Run by the Python of a container, inside the platform's network. An attempt ends with its channel.
SCRIPT = """
import json, logging, os, pika

logging.disable()

def connect(user, password, virtual_host="/"):
    credentials = pika.PlainCredentials(user, password)
    return pika.BlockingConnection(pika.ConnectionParameters(
        os.environ["RABBITMQ_HOST"], virtual_host=virtual_host, socket_timeout=10, credentials=credentials
    ))

def attempt(code):
    connection = connect(USER, PASSWORD)
    channel = connection.channel()

    def publish(exchange, key):
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"{}", mandatory=True)

    try:
        eval(code)
        return "done"
    except pika.exceptions.UnroutableError:
        return "done"
    except pika.exceptions.ChannelClosedByBroker as error:
        return error.reply_code
    finally:
        if connection.is_open:
            connection.close()

def login(*arguments):
    try:
        connect(*arguments).close()
        return "let in"
    except (pika.exceptions.ProbableAuthenticationError, pika.exceptions.ProbableAccessDeniedError):
        return "refused"

print(json.dumps({
    "attempts": {name: attempt(code) for name, code in ATTEMPTS.items()},
    "logins": {
        "guest": login("guest", "guest"),
        "a wrong password": login(USER, "wrong-password"),
        "no password": login(USER, ""),
        "another virtual host": login(USER, PASSWORD, "other"),
        "right": login(USER, PASSWORD),
    },
}))
"""
MOUNTED = 'os.environ["RABBITMQ_USER"], open("/run/secrets/rabbitmq_password").read().rstrip("\\n")'
REFUSED = 403

# Calls of the management API: method, path and body.
MANAGEMENT: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "whoami", None),
    ("GET", "overview", None),
    ("GET", "queues/%2F/billing_queue", None),
    ("GET", "definitions", None),
    ("GET", "users", None),
    ("POST", "queues/%2F/billing_queue/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}),
    (
        "POST",
        "exchanges/%2F/amq.default/publish",
        {"routing_key": QUEUE, "payload": "{}", "payload_encoding": "string", "properties": {}},
    ),
    ("PUT", "queues/%2F/mine", {"durable": True}),
    ("PUT", "exchanges/%2F/mine", {"type": "direct"}),
    ("PUT", "vhosts/mine", {}),
    ("PUT", "users/mine", {"password": "mine-and-not-theirs", "tags": "administrator"}),
    ("PUT", "permissions/%2F/guest", {"configure": ".*", "write": ".*", "read": ".*"}),
    ("POST", "definitions", {"users": []}),
    ("DELETE", "queues/%2F/billing_queue/contents", None),
    ("DELETE", "queues/%2F/billing_queue", None),
]
LOOKING = {("GET", path) for path in ("whoami", "overview", "queues/%2F/billing_queue")}


@pytest.fixture(scope="module")
def definitions(node: Node) -> dict[str, Any]:
    """All that exists at the broker."""
    answer: dict[str, Any] = json.loads(node.run("docker exec rabbitmq rabbitmqctl -q export_definitions -"))
    return answer


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def test_nobody_else_has_an_account(definitions: dict[str, Any], env: dict[str, str]) -> None:
    names = {user["name"] for user in definitions["users"]}
    assert "guest" not in names
    assert names == {env["RABBITMQ_DEFAULT_USER"], *(env[f"{account.key}_USER"] for account in ACCOUNTS)}


def test_only_the_administrator_is_one(definitions: dict[str, Any], env: dict[str, str]) -> None:
    tags = {user["name"]: set(user["tags"]) for user in definitions["users"]}
    assert tags.pop(env["RABBITMQ_DEFAULT_USER"]) == {"administrator"}
    assert tags == {env[f"{account.key}_USER"]: account.tags for account in ACCOUNTS}


def test_there_is_one_virtual_host_and_no_other_way_to_a_right(definitions: dict[str, Any]) -> None:
    assert [host["name"] for host in definitions["vhosts"]] == ["/"]
    assert {entry["vhost"] for entry in definitions["permissions"]} == {"/"}
    assert definitions["topic_permissions"] == []


@each_account
def test_each_account_may_do_what_it_uses(
    definitions: dict[str, Any], env: dict[str, str], account: Account
) -> None:
    [permission] = [
        entry for entry in definitions["permissions"] if entry["user"] == env[f"{account.key}_USER"]
    ]
    assert permission["configure"] == NOTHING
    for right, names in ((WRITE, account.writes), (READ, account.reads)):
        wanted = f"^{'|'.join(sorted(names))}$" if len(names) < 2 else f"^({'|'.join(sorted(names))})$"
        assert permission["write" if right == WRITE else "read"] == wanted


def test_the_queue_of_orders_is_a_durable_quorum_queue_with_dead_letters(definitions: dict[str, Any]) -> None:
    queue = named(definitions["queues"], QUEUE)
    assert queue["durable"] is True
    assert queue["auto_delete"] is False
    assert queue["arguments"] == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD_LETTERS,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        # RabbitMQ 4 has a limit, unless it is told not to.
        **({} if DEBIAN == "12" else {"x-delivery-limit": -1}),
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


@each_account
def test_an_account_in_wrong_hands_can_do_no_more_than_its_work(
    node: Node, env: dict[str, str], account: Account
) -> None:
    rights = {WRITE: account.writes, READ: account.reads, CONFIGURE: frozenset[str]()}
    allowed = {
        name: all(resource in rights[right] for right, resource in attempt.needs)
        for name, attempt in ATTEMPTS.items()
    }
    tried = {
        name: attempt.code for name, attempt in ATTEMPTS.items() if not (allowed[name] and attempt.is_work)
    }
    if account.container:
        credentials = MOUNTED
    else:
        credentials = f"{env[f'{account.key}_USER']!r}, {env[f'{account.key}_PASSWORD']!r}"
    script = f"ATTEMPTS = {tried!r}\nimport os\nUSER, PASSWORD = {credentials}\n{SCRIPT}"
    answer = node.python(account.container or "api-gateway-app", script)
    assert answer["attempts"] == {name: "done" if allowed[name] else REFUSED for name in tried}
    assert answer["logins"].pop("right") == "let in"
    assert set(answer["logins"].values()) == {"refused"}, answer["logins"]


@each_account
def test_at_the_management_page_an_account_can_at_most_look(
    env: dict[str, str], page: ManagementPage, account: Account
) -> None:
    credentials = (env[f"{account.key}_USER"], env[f"{account.key}_PASSWORD"])
    allowed = LOOKING if account.tags else set()
    with requests.Session() as session:
        session.trust_env = False
        session.auth = credentials
        # The page refuses before it has read a body, and may then close the connection: no second call on it.
        session.headers["Connection"] = "close"
        answers = {
            (method, path): session.request(method, f"{page.url}/{path}", json=body, timeout=30)
            for method, path, body in MANAGEMENT
        }
    may = {call for call, answer in answers.items() if answer.status_code == 200}
    refused = {call for call, answer in answers.items() if is_refusal(answer)}
    assert (may, refused) == (allowed, answers.keys() - allowed)


def is_refusal(answer: requests.Response) -> bool:
    """Say whether the page refused: itself, or because the broker did (400, with the broker's words)."""
    return answer.status_code == 401 or (answer.status_code == 400 and "ACCESS_REFUSED" in answer.text)


def test_guest_is_gone_from_the_brokers_own_machine_too(node: Node) -> None:
    ask = "curl -s -o /dev/null -w '%{http_code}' -u guest:guest http://127.0.0.1:15672/api/whoami"
    assert node.in_each(ask, ["rabbitmq"])["rabbitmq"] == "401"


def test_the_consumer_consumes(node: Node) -> None:
    consumers = node.run("docker exec rabbitmq rabbitmqctl -q list_queues name consumers --formatter json")
    assert {queue["name"]: queue["consumers"] for queue in json.loads(consumers)}[QUEUE] >= 1


@pytest.mark.skipif(
    DEBIAN != "12", reason="RabbitMQ 3.10 alone shares its register of listeners among brokers"
)
def test_the_broker_is_healthy_whatever_its_register_of_listeners_says(node: Node) -> None:
    code = (
        "Found = ets:lookup(rabbit_listener, node()), "
        "mnesia:dirty_delete(rabbit_listener, node()), "
        'try io:put_chars(os:cmd("healthcheck")) '
        "after [mnesia:dirty_write(rabbit_listener, Listener) || Listener <- Found] end."
    )
    answer = node.run(f"docker exec rabbitmq rabbitmqctl --quiet eval {shlex.quote(code)}")
    assert "listens, and the queue billing_queue exists" in answer
