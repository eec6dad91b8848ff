"""Three machines, which are containers of this computer, and the Swarm that they form."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests
from tests.faults.platform_under_test import Platform, Row
from tests.library.support import wait_until

MACHINES: Final = tuple(f"play-with-containers-swarm-{number}" for number in (1, 2, 3))
NETWORK: Final = "play-with-containers-swarm"
REPLICATED: Final = ("inventory-app", "billing-app")
GATEWAY: Final = "api-gateway-app"
BROKER: Final = "rabbitmq"
STORE: Final = "etcd"
DATABASES: Final = ("inventory-database", "billing-database")
ADDRESS_SECONDS: Final = 1.0


def outside(*arguments: str) -> str:
    """Run a command of the Docker Engine that the machines are containers of."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def others(machine: str) -> tuple[str, ...]:
    """All machines but this one."""
    return tuple(name for name in MACHINES if name != machine)


def address(machine: str) -> str:
    """Where a machine's gateway is published now.

    Raises: subprocess.CalledProcessError where the machine is down.
    """
    return "http://" + outside("port", machine, "3000").splitlines()[0]


def next_gateway() -> Callable[[], str]:
    """Give the address of one gateway after the other, as a client knows them all and tries the next one."""
    machines = itertools.cycle(MACHINES)
    known: dict[str, tuple[float, str]] = {}

    def address_of_next() -> str:
        machine = next(machines)
        # A machine that was started again has another port; to ask for it costs more than a request.
        asked, found = known.get(machine, (-math.inf, ""))
        if time.monotonic() - asked >= ADDRESS_SECONDS:
            found = address(machine)
            known[machine] = (time.monotonic(), found)
        return found

    return address_of_next


def _told(ask: Callable[[], str]) -> str:
    """Give what was asked for, or why a machine could not say it."""
    try:
        return ask()
    except (requests.RequestException, subprocess.CalledProcessError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {getattr(error, 'stderr', error)}"


class Swarm:
    """The machines, and the first one's platform, where it is all the same which.

    Args:
        env: the installation's `.env`.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.first = Platform(MACHINES[0], env)

    def run(self, command: str, machine: str = MACHINES[0]) -> str:
        """Run a shell command on a machine; it must succeed."""
        return outside("exec", machine, "sh", "-c", command)

    def services(self) -> dict[str, dict[str, Any]]:
        """The Swarm's services as Docker describes them, by name."""
        listed = json.loads(self.run("docker service inspect $(docker service ls --quiet)"))
        return {service["Spec"]["Name"]: service for service in listed}

    def running(self, service: str) -> dict[str, int]:
        """How many healthy tasks of a service each machine has, as the machines themselves say."""
        of_service = f"label=com.docker.swarm.service.name={service}"
        command = f"docker ps --quiet --filter health=healthy --filter {of_service}"
        return {machine: len(self.run(command, machine).split()) for machine in MACHINES}

    def made(self, container: str, machine: str) -> str:
        """When a container was made: one in its place has another moment."""
        return self.run(f"docker inspect --format '{{{{ .Created }}}}' {container}", machine)

    def members(self, database: str, machine: str = MACHINES[0]) -> dict[str, str]:
        """The role of each machine's server, as Patroni says: `Leader`, `Sync Standby`, `Replica`.

        Those that do not run are left out.
        """
        listed = self.run(
            f"docker exec {database} patronictl --config-file=/run/secrets/patroni.yml list --format=json",
            machine,
        )
        return {
            member["Member"].removeprefix(f"{database}-"): member["Role"]
            for member in json.loads(listed)
            if member["State"] in {"running", "streaming"}
        }

    def primary(self, database: str, machine: str = MACHINES[0]) -> str:
        """The machine that has the primary of a database, as a machine sees it; nothing without one."""
        members = self.members(database, machine)
        return next((name for name, role in members.items() if role == "Leader"), "")

    def rows(self, run: str, machine: str = MACHINES[0]) -> list[Row]:
        """The orders of a run's users that are stored, as the primary says that a machine knows of."""
        primary = self.primary("billing-database", machine)
        assert primary, f"as {machine} sees it, billing-database has no primary"
        return Platform(primary, self._env).rows(run)

    def psql(self, query: str) -> str:
        """Return the shell command that asks a machine's own billing-database."""
        return self.first.psql(query)

    def unwell(self) -> str:
        """Say what is not as it should be; nothing if all is well."""
        return _told(lambda: next(self._problems(), ""))

    def _problems(self) -> Iterator[str]:
        states = self.run("docker node ls --format '{{ .Hostname }} {{ .Status }} {{ .ManagerStatus }}'")
        away = [line for line in states.splitlines() if " Ready " not in line or "Unreachable" in line]
        if away or len(states.splitlines()) != len(MACHINES):
            yield f"machines: {states}"
        for service in (*REPLICATED, GATEWAY):
            command = f"docker service ls --format '{{{{ .Replicas }}}}' --filter name={service}"
            tasks = self.run(command).partition("/")
            if tasks[0] != tasks[2]:
                yield f"{service}: {''.join(tasks)}"
        for machine in MACHINES:
            healthy = self.run("docker ps --filter health=healthy --format '{{ .Names }}'", machine).split()
            if sick := {BROKER, STORE, *DATABASES}.difference(healthy):
                yield f"{machine}: {', '.join(sorted(sick))} not healthy"
            answer = requests.get(f"{address(machine)}/health/ready", timeout=5)
            if answer.json()["status"] != "ready":
                yield f"{machine}: {answer.text}"
        for database in DATABASES:
            roles = sorted(self.members(database).values())
            if roles != ["Leader", "Replica", "Sync Standby"]:
                yield f"{database}: {roles}"

    def wait_until_well(self, seconds: float) -> None:
        """Wait until all machines, their tasks and their gateways are well."""
        wait_until(
            lambda: not self.unwell(), "all machines are well", seconds, interval=0.5, explain=self.unwell
        )

    def kept(self) -> int:
        """How many orders wait in the stores of all gateways."""
        return sum(map(self.kept_by, MACHINES))

    def kept_by(self, machine: str) -> int:
        """How many orders wait in the store of a machine's gateway."""
        answer = requests.get(f"{address(machine)}/health/ready", timeout=5).json()
        return int(answer["dependencies"]["order-store"]["depth"])

    def of_queue(self, what: str) -> str:
        """Ask for what the brokers say of the queue. (The management page may have no number after a cut.)"""
        command = f"docker exec {BROKER} rabbitmqctl --quiet --formatter json list_queues name {what}"
        queues = {queue["name"]: queue[what] for queue in json.loads(self.run(command))}
        return str(queues["billing_queue"])

    def wait_until_stored(self, seconds: float) -> None:
        """Wait until no order is on the way any more."""

        def on_the_way() -> str:
            # A machine that comes back may yet have its tasks started anew.
            return self.unwell() or _told(
                lambda: f"{self.kept()} kept, {self.of_queue('messages')} in the queue"
            )

        readings: list[str] = []

        def quiet() -> bool:
            readings.append(on_the_way())
            return readings[-4:] == ["0 kept, 0 in the queue"] * 4

        wait_until(quiet, "all orders are stored", seconds, interval=3, explain=on_the_way)
