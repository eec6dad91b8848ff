"""The gateway's processes: the proxy, the workers and their parent end together."""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
import threading
from pathlib import Path

import psutil
import pytest
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.servers import RabbitMQ
from tests.library.support import wait_until

pytestmark = pytest.mark.usefixtures("topology")


def proxy_of(gateway: Gateway) -> int:
    """Return the process id of the proxy. What becomes of a worker: tests/unit/common/test_server.py."""
    [proxy] = [child for child in psutil.Process(gateway.process_id).children() if child.name() == "haproxy"]
    return int(proxy.pid)


def test_the_gateway_ends_when_its_proxy_dies(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1")
    os.kill(proxy_of(gateway), signal.SIGKILL)
    assert gateway.wait() != 0


def test_the_gateway_ends_when_its_proxy_stands_still(start_gateway: StartGateway) -> None:
    gateway = start_gateway(WORKERS="1", HANG_SECONDS="3")
    os.kill(proxy_of(gateway), signal.SIGSTOP)
    assert gateway.wait() != 0
    assert "has stood still" in gateway.output


def test_who_still_comes_is_served_and_what_is_in_flight_is_finished(
    start_gateway: StartGateway, upstream: FaultyUpstream
) -> None:
    gateway = start_gateway(WORKERS="1", DRAIN_SECONDS="3", INVENTORY_SERVICE_URL=upstream.url)
    wait_until(lambda: gateway.in_rotation("inventory-app") == {"127.0.0.1"}, "inventory-app is in rotation")
    statuses: list[int] = []
    slow = threading.Thread(
        target=lambda: statuses.append(
            gateway.request("GET", "/api/movies/answers-after-four-seconds").status
        )
    )
    slow.start()
    wait_until(lambda: upstream.requests() != [], "a request is in flight")
    os.kill(gateway.process_id, signal.SIGTERM)
    wait_until(lambda: gateway.health()["status"] == "draining", "it says that it is about to stop")
    assert gateway.request("GET", "/api/movies").status == 200
    assert gateway.post_order().status == 200
    slow.join()
    assert statuses == [200]
    assert gateway.wait() == 0


def test_the_proxy_has_metrics_of_its_own(start_gateway: StartGateway, upstream: FaultyUpstream) -> None:
    gateway = start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=upstream.url)
    wait_until(lambda: gateway.in_rotation("inventory-app") == {"127.0.0.1"}, "inventory-app is in rotation")
    for _ in range(3):
        gateway.request("GET", "/api/movies")
    sample = 'haproxy_backend_http_responses_total{proxy="inventory-app",code="2xx"}'
    # HAProxy counts an answer just after its client has it.
    wait_until(lambda: gateway.metric(sample, of_proxy=True) == 3, "all three are counted")


def test_it_starts_where_one_that_was_killed_has_left_its_sockets(tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    temporary = tempfile.mkdtemp()
    for name in ("application", "proxy", "feed"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"{temporary}/{name}.sock")
    gateway = Gateway(tmp_path, rabbitmq)
    try:
        gateway.start(temporary)
        assert gateway.post_order().status == 200
        assert gateway.request("GET", "/").status == 200
    finally:
        gateway.kill()


def test_names_are_asked_of_the_name_servers_of_the_machine(start_gateway: StartGateway) -> None:
    known = start_gateway().proxy.ask("show resolvers names")
    configured = re.findall(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    assert configured
    assert re.findall(r"^ nameserver (\S+):$", known, re.MULTILINE) == configured
