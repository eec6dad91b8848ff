"""Databases, a broker and running apps, as Ansible would make them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from tests.library.raw import Answer, ask, metric
from tests.library.servers import PostgreSQL, RabbitMQ, free_port
from tests.library.settings import ROOT
from tests.library.support import wait_until
from werkzeug.wrappers import Response

EXCHANGE: Final = "billing_orders"
QUEUE: Final = "billing_queue"
ROUTING_KEY: Final = "order"
DEAD_LETTERS: Final = "billing_dead_letter"
ADD_ACCOUNTS: Final = """
    [begin
        [User, Password, Configure, Write, Read] = [list_to_binary(Text) || Text <- Account],
        ok = rabbit_auth_backend_internal:add_user(User, Password, <<"tests">>),
        ok = rabbit_auth_backend_internal:set_permissions(
            User, <<"/">>, Configure, Write, Read, <<"tests">>)
    end || Account <- ACCOUNTS].
"""
SOURCES: Final = ("common", "inventory-app", "billing-app", "api-gateway-app")


def base_environment() -> dict[str, str]:
    """Return what an app's process needs to find its packages, and nothing of ours."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(ROOT / "srcs" / name) for name in SOURCES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


@dataclass(frozen=True)
class Database:
    """A database with its two accounts, and the variables that tell an app about it."""

    server: PostgreSQL
    name: str
    directory: Path
    owner: Mapping[str, str]
    app: Mapping[str, str]

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser."""
        return self.server.execute(statement, self.name)

    def run_app(self, package: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of an app as the account for migrations; fail if it fails."""
        result = subprocess.run(
            [sys.executable, "-m", package, command],
            env=base_environment() | {"SERVICE_NAME": package, **self.owner},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result


def make_database(server: PostgreSQL, name: str, directory: Path) -> Database:
    """Make an empty database, and its secrets in `directory`."""
    passwords = server.create_database(name)

    def variables(account: str) -> dict[str, str]:
        secrets_directory = directory / account
        secrets_directory.mkdir()
        (secrets_directory / "database_password").write_text(passwords[account] + "\n")
        (secrets_directory / "rabbitmq_password").write_text("none\n")
        return {
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(server.port),
            "DATABASE_NAME": name,
            "DATABASE_USER": account,
            "SECRETS_DIRECTORY": str(secrets_directory),
        }

    return Database(server, name, directory, variables(f"{name}_owner"), variables(f"{name}_app"))


@dataclass(frozen=True)
class Message:
    """A message that was taken out of a queue."""

    body: bytes
    properties: pika.BasicProperties

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers; of a dead letter, among them the reason."""
        return self.properties.headers or {}

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Broker:
    """The exchanges and the queues that the rabbitmq role makes, and the accounts of the apps."""

    def __init__(self, server: RabbitMQ) -> None:
        self.server = server
        self.passwords: dict[str, str] = {}
        self.variables = {
            "RABBITMQ_HOST": "127.0.0.1",
            "RABBITMQ_PORT": str(server.port),
            "RABBITMQ_USER": "billing-app",
        }

    def parameters(self) -> pika.ConnectionParameters:
        """Return how an administrator connects."""
        credentials = pika.PlainCredentials(self.server.user, self.server.password)
        return pika.ConnectionParameters("127.0.0.1", self.server.port, credentials=credentials)

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A channel of the administrator's."""
        connection = pika.BlockingConnection(self.parameters())
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            if connection.is_open:
                connection.close()

    def make_queues(self, **arguments: Any) -> None:
        """Make both queues, empty; that of the orders with further arguments."""
        with self.channel() as channel:
            channel.exchange_declare(EXCHANGE, "direct", durable=True)
            channel.exchange_declare(DEAD_LETTERS, "fanout", durable=True)
            channel.queue_delete(QUEUE)
            quorum = {"x-queue-type": "quorum"}
            channel.queue_declare(DEAD_LETTERS, durable=True, arguments=quorum)
            channel.queue_bind(DEAD_LETTERS, DEAD_LETTERS)
            dead_letters = {"x-dead-letter-exchange": DEAD_LETTERS, "x-dead-letter-strategy": "at-least-once"}
            arguments = quorum | dead_letters | {"x-overflow": "reject-publish"} | arguments
            channel.queue_declare(QUEUE, durable=True, arguments=arguments)
            channel.queue_bind(QUEUE, EXCHANGE, ROUTING_KEY)

    def put(self, *bodies: bytes | Mapping[str, Any], **properties: Any) -> None:
        """Put messages into billing_queue, as by hand on the management page."""
        with self.channel() as channel:
            for body in bodies:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                channel.basic_publish("", QUEUE, content, pika.BasicProperties(**properties))

    def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def consumers(self) -> int:
        """Return how many consumers billing_queue has."""
        with self.channel() as channel:
            return int(channel.queue_declare(QUEUE, passive=True).method.consumer_count)

    def take(self, queue: str = QUEUE) -> list[Message]:
        """Take everything out of a queue."""
        messages: list[Message] = []
        with self.channel() as channel:
            while True:
                _, properties, body = channel.basic_get(queue, auto_ack=True)
                if properties is None or body is None:
                    return messages
                messages.append(Message(body, properties))

    def order_ids(self) -> list[str]:
        """Take everything out of billing_queue; return the orders' ids."""
        return [message.json()["order_id"] for message in self.take()]

    def dead_letters(self, number: int) -> list[Message]:
        """Take all dead letters, which are `number`, waiting until they are there."""
        wait_until(lambda: self.depth(DEAD_LETTERS) >= number, f"there are {number} dead letters")
        return self.take(DEAD_LETTERS)

    def purge(self) -> None:
        """Empty both queues. A broker that a test has killed may have forgotten them (see `sync`)."""
        try:
            with self.channel() as channel:
                # In this order: a missing queue ends the channel, and make_queues makes billing_queue anew.
                channel.queue_purge(DEAD_LETTERS)
                channel.queue_purge(QUEUE)
        except pika.exceptions.ChannelClosedByBroker:
            self.make_queues()

    def sync(self) -> None:
        """Make the queue itself durable before the broker is killed.

        RabbitMQ 3.10 writes the list of its quorum queues to the disk every three minutes only.
        """
        self.server.control("eval", "[dets:sync(Table) || Table <- dets:all()].")


def make_broker(server: RabbitMQ) -> Broker:
    """Make the queues and the accounts that the rabbitmq role makes."""
    broker = Broker(server)
    broker.make_queues()
    rights = {
        "billing-app": ("^$", "^billing_dead_letter$", "^billing_queue$"),
        "api-gateway-app": ("^$", "^billing_orders$", "^$"),
        "dead-letters": ("^$", "^billing_orders$", "^billing_dead_letter$"),
    }
    # Not one that rabbitmqctl would take for an option: token_urlsafe may begin with "-".
    broker.passwords |= {account: secrets.token_hex(9) for account in rights}
    accounts = [[account, broker.passwords[account], *allowed] for account, allowed in rights.items()]
    # All with one call: each starts a virtual machine of Erlang's, which takes a second.
    server.control("eval", ADD_ACCOUNTS.replace("ACCOUNTS", json.dumps(accounts)))
    return broker


def order_message(number: int, **changes: Any) -> dict[str, Any]:
    """Return an order whose id is made of `number`."""
    content = {"user_id": f"user {number}", "number_of_items": 1 + number, "total_amount": "9.90"}
    return {"order_id": str(uuid.UUID(int=number)), **content, **changes}


def stored_orders(database: Database) -> int:
    """Return how many orders are in the table."""
    [(number,)] = database.execute("SELECT count(*) FROM orders")
    return int(number)


def body_of(answer: Response) -> Any:
    """Return the JSON body of a Flask test client's answer."""
    return json.loads(answer.get_data())


@dataclass(frozen=True)
class RunningApp:
    """An app in processes of its own, as in its container."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log_file: Path

    def get(self, path: str, *, port: int | None = None, timeout: float = 10) -> Answer:
        """GET a path; raises OSError or HTTPException where there is no answer."""
        return ask(port or self.port, "GET", path, timeout=timeout)

    def status(self, path: str) -> int:
        """Return the status that GET of a path gives, 0 where there is no answer."""
        try:
            return self.get(path).status
        except (OSError, HTTPException):
            return 0

    def wait_for(self, path: str, status: int, seconds: float = 30) -> None:
        """Wait until GET of a path gives a status."""
        wait_until(lambda: self.status(path) == status, f"{path} answers {status}\n{self.log()}", seconds)

    def metric(self, sample: str) -> float:
        """Return one sample of /metrics, 0 where there is none."""
        return metric(self.metrics_port, sample)

    def children(self) -> list[int]:
        """Return the ids of the processes that the main process has forked."""
        main = self.process.pid
        return [int(word) for word in Path(f"/proc/{main}/task/{main}/children").read_text().split()]

    def log(self) -> str:
        """Return everything that the app has logged."""
        return self.log_file.read_text()


# Starts an app, with further environment variables as arguments.
StartApp = Callable[..., AbstractContextManager[RunningApp]]


def end(process: subprocess.Popen[Any]) -> None:
    """Tell an app to stop, and wait for it; one that does not is killed, and the test fails."""
    process.terminate()
    try:
        process.wait(30)
    finally:
        # In a container the kernel ends the others with the first; those of a killed one would stay.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_app(package: str, directory: Path, variables: Mapping[str, str]) -> Iterator[RunningApp]:
    """Run an app's command `serve` until the end of the block."""
    directory.mkdir(exist_ok=True)
    port, metrics_port = free_port(), free_port()
    log_file = directory / "log"
    environment = (
        base_environment()
        | {
            "SERVICE_NAME": package.replace("_", "-"),
            "LISTEN_PORT": str(port),
            "METRICS_PORT": str(metrics_port),
            "THREADS": "4",
            "DRAIN_SECONDS": "0",
            "TMPDIR": str(directory),
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        }
        | dict(variables)
    )
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", package, "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        app = RunningApp(process, port, metrics_port, log_file)
        app.wait_for("/health/live", 200)
        yield app
    finally:
        end(process)
