"""Twins of the platform's containers: same image, settings, limits and secrets; own network, own volumes.

They run beside the platform on its machine, so that a measurement touches none of its data: no film
and no order of anybody is seen, changed or left behind. All of them are removed at the end.
"""

from __future__ import annotations

import io
import secrets
import tarfile
from collections import Counter
from typing import Any, Final

from benchmarks.machine import ROOT, BenchError, Machine, wait_until

LABEL: Final = "play-with-containers.bench"
NETWORK: Final = "play_with_containers_bench"
TOOLS_IMAGE: Final = "play-with-containers-bench-tools"
BASE_IMAGE: Final = "play-with-containers-base"
DATABASES: Final = {"inventory-database": "movies", "billing-database": ""}
APPS: Final = ("inventory-app", "billing-app", "api-gateway-app")
GATEWAY: Final = "api-gateway-app"
# The gateway as it is, but for the publisher, which says at once that the broker has the order.
WITHOUT_PUBLISHING: Final = """
import sys
from api_gateway_app.__main__ import serve
from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.publisher import Publisher
Publisher.deliver = lambda self, message: Outcome.CONFIRMED
sys.exit(serve())
"""
SERVICES: Final = (*DATABASES, "rabbitmq", *APPS)


class Twins:
    """The twins on `machine`; use it as a context."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.user = "bench"
        self.password = secrets.token_urlsafe(18)
        self.orders_database = ""
        self.accepted: Counter[str] = Counter()
        """How many orders were answered with 200, by URL."""
        self._originals: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Twins:
        """Start all of them.

        Raises:
            BenchError: the platform does not run, or a twin does not become healthy.
        """
        self._remove()
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove all of them with their volumes, images of the tools excepted."""
        self._remove()

    def tool(self, *command: str, seconds: float = 120) -> str:
        """Run a command in the container of the tools and return what it prints."""
        return self._machine.docker("exec", "bench-tools", *command, seconds=seconds)

    def connection_string(self) -> str:
        """Return how the tools reach the database of orders."""
        database = self.orders_database
        return f"host=billing-database dbname={database} user={self.user} password={self.password}"

    def _start(self) -> None:
        docker = self._machine.docker
        try:
            originals = {each["Name"].lstrip("/"): each for each in self._machine.inspect(*SERVICES)}
            self._originals = originals
        except BenchError as error:
            raise BenchError("The platform does not run there: `make up` first.") from error
        self._build_tools()
        docker("network", "create", "--label", LABEL, NETWORK)
        for name in (*DATABASES, "rabbitmq"):
            self._copy(originals[name])
        for name, database in DATABASES.items():
            self._copy_schema(name, database or _variable(originals["billing-app"], "DATABASE_NAME"))
        self._wait_healthy("rabbitmq")
        control = ("exec", "bench-rabbitmq", "rabbitmqctl", "--quiet")
        docker(*control, "add_user", self.user, self.password)
        docker(*control, "set_permissions", self.user, ".*", ".*", ".*")
        self.orders_database = _variable(originals["billing-app"], "DATABASE_NAME")
        for name in APPS:
            self._copy(originals[name])
        for name in APPS:
            self._wait_healthy(name)
        self._copy(originals[GATEWAY], "gateway-without-publishing", WITHOUT_PUBLISHING)
        self._wait_healthy("gateway-without-publishing")
        self._start_tool("tools", "sleep", "infinity")
        self._start_tool("nginx", "nginx", "-c", "/bench/nginx.conf", "-g", "daemon off;")
        self.query("inventory-database", "postgres", "CREATE DATABASE afternoon")
        for name in ("inventory", "gateway"):
            self._start_tool(f"afternoon-{name}", "python3", "/bench/afternoon.py", name)
        wait_until(self._afternoon_answers, "the afternoon version answers")

    def add_replica(self, number: int) -> None:
        """Start another container of inventory-app; returns once the gateway gives it requests."""
        name = f"inventory-app-{number}"
        self._copy(self._originals["inventory-app"], name)
        self._wait_healthy(name)
        command = ("exec", "bench-api-gateway-app", "python", "-m", "api_gateway_app", "replicas")
        wait_until(
            lambda: self._machine.docker(*command).count(" up\n") > number,
            f"the gateway knows {number} replicas",
        )

    def _afternoon_answers(self) -> bool:
        ask = "import urllib.request; urllib.request.urlopen('http://afternoon-gateway:3000/api/movies')"
        try:
            self.tool("python3", "-c", ask)
        except BenchError:
            return False
        return True

    def query(self, name: str, database: str, statement: str) -> str:
        """Have a database's twin run a statement as its administrator; return what it prints."""
        administrator = _variable(self._originals[name], "POSTGRES_USER")
        psql = ("psql", "--quiet", "--tuples-only", "--no-align", f"--username={administrator}", database)
        return self._machine.docker("exec", f"bench-{name}", *psql, "--command", statement, seconds=600)

    def _start_tool(self, name: str, *command: str) -> None:
        account = f"{self.user}:{self.password}"
        self._machine.docker(
            "run", "--detach", "--init", "--label", LABEL, "--network", NETWORK, "--name", f"bench-{name}",
            "--network-alias", name, "--memory", "256m", "--tmpfs", "/tmp:mode=1777",
            "--env", f"DATABASE=postgresql://{account}@inventory-database/afternoon",
            "--env", f"BROKER=amqp://{account}@rabbitmq/%2F", TOOLS_IMAGE, *command,
        )  # fmt: skip

    def _build_tools(self) -> None:
        tags = self._machine.docker("images", "--format", "{{.Repository}}:{{.Tag}}", BASE_IMAGE).split()
        if not tags:
            raise BenchError(f"There is no image {BASE_IMAGE} on the machine: `make up` first.")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for file in sorted((ROOT / "benchmarks" / "tools").iterdir()):
                archive.add(file, file.name)
        build = ("build", "--build-arg", f"BASE_IMAGE={tags[0]}", "--label", LABEL, "--tag", TOOLS_IMAGE, "-")
        self._machine.docker(*build, stdin=packed.getvalue(), seconds=600)

    def _copy(self, original: dict[str, Any], name: str = "", program: str = "") -> None:
        """Start a container like `original`, under another name, or with another Python program."""
        alias, host = original["Name"].lstrip("/"), original["HostConfig"]
        if program:
            alias = name
        name = name or alias
        options = ["--name", f"bench-{name}", "--label", LABEL, "--network", NETWORK]
        options += [
            "--hostname",
            name,
            "--network-alias",
            alias,
            "--init",
            "--read-only",
            "--cap-drop",
            "ALL",
        ]
        options += ["--security-opt", "no-new-privileges:true", "--pids-limit", str(host["PidsLimit"])]
        options += ["--memory", str(host["Memory"]), "--memory-swap", str(host["MemorySwap"])]
        for bind in host["Binds"]:
            source, path, *_ = bind.split(":")
            is_file = source.startswith("/")
            options += ["--volume", f"{source}:{path}:ro" if is_file else f"bench-{name}-{source}:{path}"]
        for path, settings in (host["Tmpfs"] or {}).items():
            options += ["--tmpfs", f"{path}:{settings}"]
        for variable in original["Config"]["Env"]:
            options += ["--env", variable]
        command = original["Config"]["Cmd"] or []
        if program:
            options += ["--entrypoint", "python"]
            command = ["-c", program]
        self._machine.docker("run", "--detach", *options, original["Config"]["Image"], *command)

    def _copy_schema(self, name: str, database: str) -> None:
        """Give the twin the original's accounts and empty tables."""
        docker = self._machine.docker
        self._wait_healthy(name)
        administrator = _variable(self._machine.inspect(name)[0], "POSTGRES_USER")
        accounts = docker("exec", name, "pg_dumpall", "--globals-only", f"--username={administrator}")
        schema = docker(
            "exec", name, "pg_dump", "--schema-only", "--create", f"--username={administrator}", database
        )
        own = f"CREATE ROLE {self.user} SUPERUSER LOGIN PASSWORD '{self.password}';\n"
        # The administrator is there already, so errors do not end it; a lack shows when the app looks.
        psql = ("exec", "--interactive", f"bench-{name}", "psql", "--quiet", f"--username={administrator}")
        docker(*psql, "postgres", stdin=(accounts + own + schema).encode())

    def _wait_healthy(self, name: str) -> None:
        def is_healthy() -> bool:
            state = self._machine.inspect(f"bench-{name}")[0]["State"]
            return bool(state["Health"]["Status"] == "healthy")

        wait_until(is_healthy, f"the twin of {name} becomes healthy")

    def _remove(self) -> None:
        docker = self._machine.docker
        selected = ("--quiet", "--filter", f"label={LABEL}")
        if containers := docker("ps", "--all", *selected).split():
            docker("rm", "--force", "--volumes", *containers)
        if volumes := docker("volume", "ls", "--quiet", "--filter", "name=^bench-").split():
            docker("volume", "rm", *volumes)
        if networks := docker("network", "ls", *selected).split():
            docker("network", "rm", *networks)


def _variable(container: dict[str, Any], name: str) -> str:
    """Return an environment variable of a container."""
    variables: dict[str, str] = dict(each.split("=", 1) for each in container["Config"]["Env"])
    return variables[name]
