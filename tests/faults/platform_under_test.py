"""The platform as the suite sees it: its node, its containers, what is on the way and what is stored."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
import testinfra
from tests.library.management_page import ManagementPage
from tests.library.settings import gateway_url, management_url
from tests.library.support import wait_until
from tests.node.node import Node
from tests.node.platform import NAMES, NETWORK

QUEUE: Final = "billing_queue"
DEAD_LETTER_QUEUE: Final = "billing_dead_letter"
# Docker waits longer and longer between the starts of what ends soon after each start.
PATIENCE_SECONDS: Final = 180
# The broker's figures are up to ten seconds old.
QUIET_READINGS: Final = 4
READING_SECONDS: Final = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table orders."""

    order_id: str
    user_id: str
    content: tuple[int, str | None, int | None]


class Platform:
    """A platform on a node in a container of this computer.

    Args:
        node_name: the node's container.
        env: the installation's `.env`.
    """

    def __init__(self, node_name: str, env: Mapping[str, str]) -> None:
        self.node_name = node_name
        self.node = Node(testinfra.get_host(f"docker://{node_name}"))
        self._env = env

    # The node

    def run(self, command: str) -> str:
        """Run a shell command on the node; it must succeed."""
        return self.node.run(command).strip()

    def outside(self, *arguments: str) -> None:
        """Run a command of the Docker Engine that the node itself is a container of."""
        subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)

    def engine_answers(self) -> bool:
        """Say whether the node's own Docker Engine is up."""
        command = ["docker", "exec", self.node_name, "docker", "info"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    # Its containers

    def pid(self, name: str) -> int:
        """The process on the node that is the container's first; the container must run."""
        pid = int(self.node.inspect(name)[name]["State"]["Pid"])
        # To `kill`, 0 is whoever asks.
        assert pid > 0, f"{name} does not run"
        return pid

    def pids(self, name: str) -> list[int]:
        """All processes of a container, as the node numbers them."""
        return [
            int(line) for line in self.run(f"docker top {self.node.container(name)} -eo pid").splitlines()[1:]
        ]

    def workers(self, name: str) -> list[int]:
        """The processes of an app's server but the first one. A health check's are none: they soon end."""
        lines = self.run(f"docker top {self.node.container(name)} -eo pid,args").splitlines()[1:]
        servers = [line.split(maxsplit=1) for line in lines if line.endswith(" serve")]
        return [int(pid) for pid, command in servers if "docker-init" not in command][1:]

    def started_at(self, name: str) -> str:
        """When a container was started last."""
        return str(self.node.inspect(name)[name]["State"]["StartedAt"])

    def address(self, name: str) -> str:
        """A container's IP address."""
        return str(self.node.inspect(name)[name]["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    def wait_until_started_again(self, name: str, before: str) -> None:
        """Wait until a container runs that was started at `before`, and has ended since."""
        wait_until(
            lambda: self.started_at(name) != before,
            f"Docker starts {name} again",
            seconds=PATIENCE_SECONDS,
        )

    # All of it

    def unwell(self) -> str:
        """Say what is not as it should be; nothing if all is well."""
        if not self.engine_answers():
            return "the node's Docker Engine does not answer"
        sick = [
            f"{name} is {container['State'].get('Health', {}).get('Status')}"
            for name, container in self.node.inspect(*NAMES).items()
            if container["State"].get("Health", {}).get("Status") != "healthy"
        ]
        return ", ".join(sick) or self._not_ready()

    def _not_ready(self) -> str:
        try:
            answer = self.readiness()
        except (requests.RequestException, subprocess.CalledProcessError) as error:
            return f"the gateway gives no answer ({type(error).__name__})"
        return "" if answer["status"] == "ready" else f"the gateway says {answer}"

    def wait_until_well(self) -> str:
        """Wait until all six are healthy and the gateway is ready; return what was waited for last."""
        reasons = [""]

        def well() -> bool:
            reason = self.unwell()
            reasons.append(reason or reasons[-1])
            return not reason

        wait_until(
            well,
            "all six are healthy and the gateway is ready",
            seconds=PATIENCE_SECONDS,
            interval=0.3,
            explain=self.unwell,
        )
        return reasons[-1]

    def readiness(self) -> dict[str, Any]:
        """What the gateway says of itself."""
        answer: dict[str, Any] = requests.get(f"{gateway_url()}/health/ready", timeout=5).json()
        return answer

    def on_the_way(self) -> str:
        """Say which orders are not stored yet; nothing if there are none."""
        if problem := self.unwell():
            return problem
        kept = self.readiness()["dependencies"]["order-store"]["depth"]
        queued = self.page().messages(QUEUE)
        if queued is None:
            return "the broker has not counted its messages yet"
        return f"{kept} in the gateway's store, {queued} in the queue" if kept or queued else ""

    def wait_until_quiet(self, seconds: float) -> None:
        """Wait until nothing is on the way any more.

        It must look so several times running: the broker's figures are not those of this moment.
        """
        readings: list[str] = []

        def quiet() -> bool:
            readings.append(self.on_the_way())
            return len(readings) >= QUIET_READINGS and not any(readings[-QUIET_READINGS:])

        wait_until(
            quiet,
            "no order is on the way any more",
            seconds=seconds,
            interval=READING_SECONDS,
            explain=self.on_the_way,
        )

    # What it holds

    def page(self) -> ManagementPage:
        """The broker's management page, where it is published now."""
        return ManagementPage(
            management_url(), self._env["RABBITMQ_DEFAULT_USER"], self._env["RABBITMQ_DEFAULT_PASS"]
        )

    def rows(self, run: str) -> list[Row]:
        """The rows of a run's users."""
        query = (
            "COPY (SELECT order_id, user_id, number_of_items, total_amount, film_id FROM orders "  # noqa: S608
            f"WHERE user_id LIKE '{run}-%') TO STDOUT WITH CSV"
        )
        table = csv.reader(io.StringIO(self.node.packed(self.psql(query))))
        return [
            Row(order_id, user_id, (int(items), amount or None, int(film) if film else None))
            for order_id, user_id, items, amount, film in table
        ]

    def rows_of_others(self, run: str) -> int:
        """How many rows belong to no user of a run."""
        return int(self.run(self.psql(f"SELECT count(*) FROM orders WHERE user_id NOT LIKE '{run}-%'")))  # noqa: S608

    def psql(self, query: str) -> str:
        """Return the shell command that asks billing-database; `query` as between double quotes."""
        user, database = self._env["POSTGRES_USER"], self._env["POSTGRES_DB"]
        return (
            "docker exec billing-database psql --no-psqlrc -v ON_ERROR_STOP=1 -qAt -h /run/postgresql "
            f'-U {user} -d {database} -c "{query}"'
        )
