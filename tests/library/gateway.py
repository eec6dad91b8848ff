"""The gateway as a process of its own, started as its image starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.library.raw import Answer, ask, metric
from tests.library.servers import RabbitMQ, free_port
from tests.library.settings import ROOT
from tests.library.support import wait_until

from api_gateway_app.proxy_control import ProxyControl


class Gateway:
    """A gateway with volumes in `directory`; further `variables` go over the usual ones."""

    def __init__(self, directory: Path, broker: RabbitMQ, variables: Mapping[str, str] | None = None) -> None:
        self.orders_directory = directory / "orders"
        self.log_directory = directory / "log"
        secrets_directory = directory / "secrets"
        for each in (self.orders_directory, self.log_directory, secrets_directory):
            each.mkdir(exist_ok=True)
        (secrets_directory / "rabbitmq_password").write_text(broker.password)
        self.token_file = secrets_directory / "api_token"
        self.token_file.touch()
        self.certificate_file = secrets_directory / "tls_certificate"
        self.port = free_port()
        self._output = directory / "output"
        self._process: subprocess.Popen[bytes] | None = None
        nobody = f"http://127.0.0.1:{free_port()}"
        self._environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": f"{ROOT}/srcs/common:{ROOT}/srcs/api-gateway-app",
            "SERVICE_NAME": "api-gateway-app",
            "LISTEN_PORT": str(self.port),
            "METRICS_PORT": str(free_port()),
            "PROXY_METRICS_PORT": str(free_port()),
            "WORKERS": "2",
            "THREADS": "16",
            "DRAIN_SECONDS": "0",
            "SECRETS_DIRECTORY": str(secrets_directory),
            "INVENTORY_SERVICE_URL": nobody,
            "BILLING_SERVICE_URL": nobody,
            "RABBITMQ_HOST": "127.0.0.1",
            "RABBITMQ_PORT": str(broker.port),
            "RABBITMQ_USER": broker.user,
            "ORDERS_DIRECTORY": str(self.orders_directory),
            "ACCESS_LOG_DIRECTORY": str(self.log_directory),
            **(variables or {}),
        }

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it has written to standard output and error."""
        return self._output.read_text()

    def start(self, temporary: str = "") -> None:
        """Start it, with what is left in a temporary directory or an empty one; returns when it answers."""
        # Its process id and metrics: nothing of an earlier run.
        # Short: the path of a socket has its limit.
        self._temporary = temporary or tempfile.mkdtemp()
        environment = self._environment | {
            "TMPDIR": self._temporary,
            "PROMETHEUS_MULTIPROC_DIR": f"{self._temporary}/metrics",
        }
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api_gateway_app", "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._answers, "the gateway answers")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"The gateway ended:\n{self.output[-3000:]}")
        try:
            return self.request("GET", "/health/live").status == 200
        except OSError:
            return False

    def wait_for_broker(self) -> None:
        """Wait until both workers are connected to the broker."""
        wait_until(lambda: self.metric('publishers{state="ready"}') == 2, "both workers are connected")

    @property
    def process_id(self) -> int:
        """The process id of the parent of all of its processes."""
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        assert self._process is not None
        code = self._process.wait(30)
        # In a container the kernel ends the others with the first.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        shutil.rmtree(self._temporary)
        return code

    def stop(self) -> int:
        """Stop it as Docker does; return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End all of its processes as a crash of the machine would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            shutil.rmtree(self._temporary)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        """Send one request; a body that is no bytes goes as JSON."""
        return ask(self.port, method, path, body, headers, timeout)

    def post_order(self, order: Mapping[str, Any] | None = None, key: str | None = None) -> Answer:
        """Place an order."""
        order = order or {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
        return self.request("POST", "/api/billing", order, {"Idempotency-Key": key} if key else None)

    def health(self) -> Any:
        """Return what /health/ready says."""
        return self.request("GET", "/health/ready").json()

    def in_rotation(self, app: str) -> set[str]:
        """Return the addresses of the replicas that get requests."""
        return {replica.host for replica in self.proxy.replicas(app) if replica.is_up}

    @property
    def proxy(self) -> ProxyControl:
        """The control socket of its proxy."""
        return ProxyControl(Path(self._temporary) / "proxy.sock")

    def metric(self, sample: str, *, of_proxy: bool = False) -> float:
        """Return one sample of the metrics, over all workers; 0 if there is none."""
        port = int(self._environment["PROXY_METRICS_PORT" if of_proxy else "METRICS_PORT"])
        return metric(port, sample)


StartGateway = Callable[..., Gateway]
"""What the fixture `start_gateway` gives: takes environment variables, returns a gateway that answers."""
