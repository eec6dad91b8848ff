"""What the gateway's tests share: the broker's queues, and gateways that are stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.library.apps import Broker
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway, StartGateway
from tests.library.servers import RabbitMQ


@pytest.fixture
def topology(broker_server: Broker) -> Iterator[Broker]:
    """The exchange and an empty queue, on a broker that runs."""
    broker_server.make_queues()
    yield broker_server
    broker_server.server.resume()


@pytest.fixture
def upstream() -> Iterator[FaultyUpstream]:
    """An upstream with faults."""
    server = FaultyUpstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[FaultyUpstream]:
    """An upstream with faults, for all tests of a file."""
    server = FaultyUpstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start_shared_gateway(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, shared_upstream: FaultyUpstream
) -> Iterator[StartGateway]:
    """Start a gateway in front of it, for all tests of a file, with the given environment variables."""
    started: list[Gateway] = []

    def start(token: str = "", **variables: str) -> Gateway:
        usual = {"WORKERS": "1", "INVENTORY_SERVICE_URL": shared_upstream.url}
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), rabbitmq, usual | variables)
        gateway.token_file.write_text(token)
        started.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in started:
        gateway.kill()


@pytest.fixture
def start_gateway(tmp_path: Path, rabbitmq: RabbitMQ) -> Iterator[StartGateway]:
    """Start a gateway with the given environment variables."""
    started: list[Gateway] = []

    def start(**variables: str) -> Gateway:
        gateway = Gateway(tmp_path, rabbitmq, variables)
        started.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in started:
        gateway.kill()
