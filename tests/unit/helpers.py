"""Databases, a broker and running apps, as Ansible would make them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pika
from pika.adapters.blocking_connection import BlockingChannel
from servers import PostgreSQL, RabbitMQ, free_port, wait_until
from werkzeug.wrappers import Response

ROOT: Final = Path(__file__).parents[2]
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


# The gateway's tests use the default one, with a topology of their own.
VIRTUAL_HOST: Final = "billing"


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
class DeadLetter:
    """A message from the dead letters."""

    body: bytes
    properties: pika.BasicProperties

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers, among them the reason."""
        return self.properties.headers or {}


@dataclass
class Broker:
    """The broker with the platform's topology."""

    server: RabbitMQ
    passwords: Mapping[str, str]
    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A channel of the administrator's."""
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(
                "127.0.0.1",
                self.server.port,
                VIRTUAL_HOST,
                credentials=pika.PlainCredentials(self.server.user, self.server.password),
            )
        )
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            if connection.is_open:
                connection.close()

    def put(self, *bodies: bytes | Mapping[str, Any], **properties: Any) -> None:
        """Put messages into billing_queue, as by hand on the management page."""
        with self.channel() as channel:
            for body in bodies:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                channel.basic_publish("", "billing_queue", content, pika.BasicProperties(**properties))

    def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def consumers(self) -> int:
        """Return how many consumers billing_queue has."""
        with self.channel() as channel:
            return int(channel.queue_declare("billing_queue", passive=True).method.consumer_count)

    def dead_letters(self, number: int) -> list[DeadLetter]:
        """Take `number` dead letters, waiting until they are there."""
        wait_until(lambda: self.depth("billing_dead_letter") >= number, f"{number} dead letters")
        with self.channel() as channel:
            taken = [channel.basic_get("billing_dead_letter", auto_ack=True) for _ in range(number)]
        return [
            DeadLetter(body, properties) for _, properties, body in taken if body is not None and properties
        ]

    def purge(self) -> None:
        """Empty both queues."""
        with self.channel() as channel:
            channel.queue_purge("billing_queue")
            channel.queue_purge("billing_dead_letter")


def make_broker(server: RabbitMQ, directory: Path) -> Broker:
    """Make the topology and the accounts that the rabbitmq role makes."""
    server.control("add_vhost", VIRTUAL_HOST)
    server.control("set_permissions", "--vhost", VIRTUAL_HOST, server.user, ".*", ".*", ".*")
    passwords = {
        # Not one that rabbitmqctl would take for an option: token_urlsafe may begin with "-".
        name: secrets.token_hex(9)
        for name in ("billing-app", "api-gateway-app", "dead-letters")
    }
    broker = Broker(server, passwords, directory)
    with broker.channel() as channel:
        channel.exchange_declare("billing_orders", "direct", durable=True)
        channel.exchange_declare("billing_dead_letter", "fanout", durable=True)
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare("billing_dead_letter", durable=True, arguments=quorum)
        channel.queue_bind("billing_dead_letter", "billing_dead_letter")
        channel.queue_declare(
            "billing_queue",
            durable=True,
            arguments=quorum
            | {
                "x-dead-letter-exchange": "billing_dead_letter",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        channel.queue_bind("billing_queue", "billing_orders", "order")
    rights = {
        "billing-app": ("^$", "^billing_dead_letter$", "^billing_queue$"),
        "api-gateway-app": ("^$", "^billing_orders$", "^$"),
        "dead-letters": ("^$", "^billing_orders$", "^billing_dead_letter$"),
    }
    for account, password in passwords.items():
        server.control("add_user", account, password)
        server.control("set_permissions", "--vhost", VIRTUAL_HOST, account, *rights[account])
    broker.variables = {
        "RABBITMQ_HOST": "127.0.0.1",
        "RABBITMQ_PORT": str(server.port),
        "RABBITMQ_USER": "billing-app",
        "RABBITMQ_VHOST": VIRTUAL_HOST,
    }
    return broker


def body_of(answer: Response) -> Any:
    """Return the JSON body of a Flask test client's answer."""
    return json.loads(answer.get_data())


@dataclass(frozen=True)
class Answer:
    """What an HTTP request got."""

    status: int
    body: bytes
    headers: Message

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningApp:
    """An app in processes of its own, as in its container."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log_file: Path

    def get(self, path: str, *, port: int | None = None, timeout: float = 10) -> Answer:
        """GET a path; raises OSError where there is no answer."""
        request = Request(f"http://127.0.0.1:{port or self.port}{path}")
        try:
            with urlopen(request, timeout=timeout) as response:  # noqa: S310
                return Answer(response.status, response.read(), response.headers)
        except HTTPError as error:
            return Answer(error.code, error.read(), error.headers)

    def status(self, path: str) -> int:
        """Return the status that GET of a path gives, 0 where there is no answer."""
        try:
            return self.get(path).status
        except OSError:
            return 0

    def wait_for(self, path: str, status: int, seconds: float = 30) -> None:
        """Wait until GET of a path gives a status."""
        wait_until(lambda: self.status(path) == status, f"{path} answers {status}\n{self.log()}", seconds)

    def metric(self, sample: str) -> float:
        """Return one sample of /metrics, 0 where there is none."""
        text = self.get("/metrics", port=self.metrics_port).body.decode()
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def children(self) -> list[int]:
        """Return the ids of the processes that the main process has forked."""
        main = self.process.pid
        return [int(word) for word in Path(f"/proc/{main}/task/{main}/children").read_text().split()]

    def log(self) -> str:
        """Return everything that the app has logged."""
        return self.log_file.read_text()


# Starts an app, with further environment variables as arguments.
StartApp = Callable[..., AbstractContextManager[RunningApp]]


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
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
