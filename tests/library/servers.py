"""Private PostgreSQL and RabbitMQ servers for the tests, from Debian's packages.

Each lives in a temporary directory, listens on a free loopback port, and is stopped at the end.
As root they run under another account, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import psycopg2
from tests.library.support import wait_until

POSTGRESQL_PACKAGE: Final = "postgresql-15"
RABBITMQ_PACKAGE: Final = "rabbitmq-server"
START_SECONDS: Final = 60
SERVER_PORTS: Final = range(16384, 32768)


class MissingServerError(Exception):
    """A server's program is not installed; the text names the Debian package that has it."""


def share_of_ports(worker: int, workers: int) -> list[int]:
    """Return the ports of one of `workers` processes that test at the same time, in random order.

    They are below the range that the kernel gives to outgoing connections, one of which could take
    a port before the server that it is for.
    """
    share = list(SERVER_PORTS)[worker::workers]
    random.shuffle(share)
    return share


_ports: Final = cycle(
    share_of_ports(
        int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )
)


def free_port() -> int:
    """Return a free port that this process was not given recently.

    A server takes its port only seconds later: until then nobody else may be given it.
    """
    for port in islice(_ports, len(SERVER_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"All ports from {SERVER_PORTS.start} to {SERVER_PORTS.stop - 1} are taken.")


class Server:
    """A server with files of its own in `directory`, under the account of its package where we are root."""

    def __init__(self, account: str) -> None:
        self._user = _account(account) if os.getuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix=f"unit-{account}-", dir="/tmp"))
        self._give_away(self.directory)
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)

    def _give_away(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user)

    def _run(self, *command: str | Path, environment: Mapping[str, str]) -> str:
        """Run one of its programs as its account, return what that prints; fail if it fails."""
        done = subprocess.run(
            command,
            user=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")
        return done.stdout

    def pause(self) -> None:
        """Let the server stand still, with its connections open; returns when it does."""
        self._signal(signal.SIGSTOP)
        # On a busy machine its threads run on for a while, and an order sent at once is still taken.
        wait_until(lambda: all(map(_stands_still, self._processes())), "the server stands still")

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process_id in self._processes():
            # A child of the server may have ended.
            with suppress(ProcessLookupError):
                os.kill(process_id, number)

    def _processes(self) -> list[int]:
        raise NotImplementedError


def _stands_still(process_id: int) -> bool:
    states = (
        path.read_text().rpartition(")")[2].split()[0]
        for path in Path(f"/proc/{process_id}/task").glob("*/stat")
    )
    return all(state in "TZ" for state in states)


def _group(process_id: int) -> int:
    try:
        return os.getpgid(process_id)
    except ProcessLookupError:
        return 0


def _account(name: str) -> str:
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return "nobody"


class PostgreSQL(Server):
    """A PostgreSQL server with the superuser `postgres` and the group role `app`."""

    def __init__(self) -> None:
        self._binaries = self._find_binaries()
        super().__init__("postgres")

    @staticmethod
    def _find_binaries() -> Path:
        for version in ("15", "16", "17"):
            directory = Path(f"/usr/lib/postgresql/{version}/bin")
            if (directory / "initdb").exists():
                return directory
        raise MissingServerError(
            f"The unit tests need a real PostgreSQL server: apt-get install {POSTGRESQL_PACKAGE} "
            "(or the distribution's own version, 16 or 17)."
        )

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as its account; fail if it fails."""
        self._run(
            self._binaries / program, *arguments, environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        )

    def create(self) -> None:
        """Make the cluster and start it."""
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        self._give_away(password_file)
        self.run(
            "initdb",
            f"--pgdata={self.directory / 'data'}",
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        self.start()
        self.execute("CREATE ROLE app NOLOGIN")

    def start(self) -> None:
        """Start the server; returns when it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory} "
            "-c fsync=off -c jit=off -c shared_buffers=32MB -c max_connections=60"
        )
        self.run(
            "pg_ctl",
            "start",
            "-w",
            f"--pgdata={self.directory / 'data'}",
            f"--log={self.directory / 'log'}",
            f"--options={options}",
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server: "fast" as an administrator would, "immediate" as a crash would."""
        self.run("pg_ctl", "stop", "-w", f"--mode={mode}", f"--pgdata={self.directory / 'data'}")

    def _processes(self) -> list[int]:
        postmaster = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def connect(self, database: str = "postgres") -> psycopg2.extensions.connection:
        """Return a connection as the superuser."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname=database, user="postgres", password=self.password
        )
        connection.autocommit = True
        return connection

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the superuser, and return its rows."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create_database(self, name: str) -> Mapping[str, str]:
        """Make a database with an owner for migrations and an account for the app.

        Returns:
            each account's password.
        """
        accounts = {f"{name}_owner": secrets.token_urlsafe(12), f"{name}_app": secrets.token_urlsafe(12)}
        for account, password in accounts.items():
            self.execute(f"CREATE ROLE {account} LOGIN PASSWORD '{password}'")
        self.execute(f"GRANT app TO {name}_app")
        self.execute(f"CREATE DATABASE {name} OWNER {name}_owner")
        return accounts

    def destroy(self) -> None:
        """Stop the server and remove its files."""
        if (self.directory / "data" / "postmaster.pid").exists():
            self.resume()
            self.stop()
        shutil.rmtree(self.directory)


class RabbitMQ(Server):
    """A RabbitMQ server with one administrator, and no other account."""

    user: Final = "administrator"

    def __init__(self) -> None:
        self._binaries = Path("/usr/lib/rabbitmq/bin")
        if not (self._binaries / "rabbitmq-server").exists():
            raise MissingServerError(
                f"The unit tests need a real RabbitMQ server: apt-get install {RABBITMQ_PACKAGE}"
            )
        super().__init__("rabbitmq")
        # Short names resolve everywhere; the name must be unlike that of any other broker here.
        self._node = f"unit{self.port}@localhost"
        self._epmd_port = free_port()
        self._distribution_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def _environment(self) -> dict[str, str]:
        home = str(self.directory)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": home,
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": f"{home}/env.conf",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            # Small: the tests share two cores with everything else.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +A 8",
        }

    def create(self) -> None:
        """Write the configuration and start the server."""
        configuration = (
            f"default_user = {self.user}\n"
            f"default_pass = {self.password}\n"
            "loopback_users = none\n"
            "vm_memory_high_watermark.absolute = 256MB\n"
            "disk_free_limit.absolute = 50MB\n"
            "heartbeat = 10\n"
        )
        for name, content in (("rabbitmq.conf", configuration), ("plugins", "[].\n"), ("env.conf", "")):
            file = self.directory / name
            file.write_text(content)
            self._give_away(file)
        self.start()

    def start(self) -> None:
        """Start the server; returns when it takes connections."""
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._binaries / "rabbitmq-server"],
                user=self._user,
                extra_groups=[] if self._user else None,
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._is_listening, "RabbitMQ listens", START_SECONDS)

    def _is_listening(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"RabbitMQ ended:\n{(self.directory / 'output').read_text()[-3000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _processes(self) -> list[int]:
        if self._process is None:
            return []
        everything = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
        return [process_id for process_id in everything if _group(process_id) == self._process.pid]

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it prints."""
        command = self._binaries / "rabbitmqctl"
        return self._run(command, "--quiet", *arguments, environment=self._environment())

    def destroy(self) -> None:
        """Stop the server and remove its files."""
        self.kill()
        self._stop_epmd()
        shutil.rmtree(self.directory)

    def _stop_epmd(self) -> None:
        """End the name server of Erlang that this broker started for itself, on a port of its own.

        It refuses as long as it believes that the broker lives, for a moment after its end.
        """

        def has_ended() -> bool:
            with suppress(RuntimeError):
                self._run("epmd", "-port", str(self._epmd_port), "-kill", environment=self._environment())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self._epmd_port)) != 0

        wait_until(has_ended, "epmd ends")
