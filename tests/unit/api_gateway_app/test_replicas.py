"""How requests are spread over the replicas of an app, and what becomes of them when one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway
from tests.library.name_server import NameServer
from tests.library.servers import RabbitMQ, free_port
from tests.library.support import wait_until

UNSAFE = ["POST", "PATCH", "DELETE"]
REPEATABLE = ["GET", "HEAD", "OPTIONS", "PUT"]


@dataclass
class Replicas:
    """Replicas of inventory-app, each at a loopback address of its own, and the gateway that finds them."""

    directory: Path
    broker: RabbitMQ
    servers: dict[str, FaultyUpstream] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = NameServer()
        self.port = free_port()
        self.gateway = Gateway(
            self.directory,
            self.broker,
            {
                "INVENTORY_SERVICE_URL": f"http://inventory-app.test:{self.port}",
                "NAME_SERVER": self.names.address,
                "UPSTREAM_READ_SECONDS": "3",
                "WORKERS": "1",
            },
        )
        self.gateway.start()

    def start(self, host: str, *, health: str = "ready") -> FaultyUpstream:
        """Start a replica and give it the app's name."""
        self.servers[host] = FaultyUpstream(host, self.port, health)
        self.names.hosts.add(host)
        return self.servers[host]

    def wait_for(self, *numbers: int) -> None:
        """Wait until exactly these are in rotation; 2 is the replica at 127.0.0.2."""
        wanted = {f"127.0.0.{number}" for number in numbers}
        wait_until(
            lambda: self.gateway.in_rotation("inventory-app") == wanted, f"{wanted} are in rotation", 30
        )

    def ask(self, path: str = "", method: str = "GET", body: bytes | None = None) -> int:
        """Send a request; returns the status."""
        return self.gateway.request(method, f"/api/movies{path}", body).status

    def counts(self) -> list[int]:
        """How many requests each has got."""
        return [len(server.requests()) for server in self.servers.values()]

    def reason(self) -> str:
        """Why inventory-app is down, as /health/ready says."""
        return str(self.gateway.health()["dependencies"]["inventory-app"].get("reason"))

    def are_well(self, hosts: set[str]) -> bool:
        """Say whether exactly these are in rotation, and nothing was done to any of them."""
        return (
            self.servers.keys() == self.names.hosts == hosts == self.gateway.in_rotation("inventory-app")
            and self.names.answers
            and all(server.is_well for server in self.servers.values())
        )

    def reset(self) -> None:
        """Have no replica."""
        for server in self.servers.values():
            server.crash()
        self.servers.clear()
        self.names.answers = True
        self.names.hosts.clear()
        self.wait_for()

    def close(self) -> None:
        self.gateway.kill()
        self.names.close()


@pytest.fixture(scope="module")
def gateway_with_replicas(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ) -> Iterator[Replicas]:
    replicas = Replicas(tmp_path_factory.mktemp("gateway"), rabbitmq)
    yield replicas
    replicas.close()


@pytest.fixture
def replicas(gateway_with_replicas: Replicas) -> Replicas:
    """None yet."""
    gateway_with_replicas.reset()
    return gateway_with_replicas


@pytest.fixture
def three(gateway_with_replicas: Replicas) -> Replicas:
    """Three replicas in rotation that have received nothing: those of the test before, if it broke none."""
    three = gateway_with_replicas
    hosts = [f"127.0.0.{number}" for number in (2, 3, 4)]
    if not three.are_well(set(hosts)):
        three.reset()
        for host in hosts:
            three.start(host)
        three.wait_for(2, 3, 4)
    for server in three.servers.values():
        server.received.clear()
    return three


def assert_alike(counts: list[int], total: int) -> None:
    """Requests went to all replicas alike: one that has just answered may still count as busy."""
    assert sum(counts) == total
    assert all(abs(count - total / len(counts)) <= 3 for count in counts), counts


def test_requests_one_after_the_other_go_to_all_replicas_alike(three: Replicas) -> None:
    for _ in range(60):
        assert three.ask() == 200
    assert_alike(three.counts(), 60)


def test_requests_that_wait_at_once_are_spread_over_all_replicas(three: Replicas) -> None:
    with ThreadPoolExecutor(30) as pool:
        # Nothing is answered, so that each replica is as busy as it has requests.
        waiting = [pool.submit(three.ask, "/says-nothing", "POST", b"{}") for _ in range(30)]
        wait_until(lambda: sum(three.counts()) == 30, "all of them have arrived")
        assert_alike(three.counts(), 30)
        assert {request.result() for request in waiting} == {504}


def test_many_requests_at_once_are_all_answered(three: Replicas) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: three.ask(), range(600))) == {200}
    assert sum(three.counts()) == 600


def test_a_replica_that_is_slow_gets_fewer_requests(three: Replicas) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(three.ask, "/says-nothing", "POST", b"{}")
        wait_until(lambda: sum(three.counts()) == 1, "one of them is busy")
        busy = three.counts().index(1)
        for _ in range(30):
            three.ask()
        counts = three.counts()
        assert counts.pop(busy) == 1
        assert_alike(counts, 30)
        assert slow.result() == 504


def test_a_new_replica_is_found_within_five_seconds_and_gets_its_share(three: Replicas) -> None:
    began = time.monotonic()
    new = three.start("127.0.0.5")
    wait_until(lambda: three.ask() == 200 and new.requests() != [], "the new one gets requests", 20)
    assert time.monotonic() - began < 5
    three.wait_for(2, 3, 4, 5)


def test_a_new_replica_that_is_not_ready_is_out_of_rotation(three: Replicas) -> None:
    new = three.start("127.0.0.5", health="unready")
    wait_until(lambda: len(new.received) >= 2, "it was asked whether it is ready")
    before = len(new.requests())
    for _ in range(30):
        three.ask()
    assert len(new.requests()) == before
    new.health = "ready"
    three.wait_for(2, 3, 4, 5)


def test_a_replica_that_is_gone_is_forgotten(three: Replicas) -> None:
    three.names.hosts.remove("127.0.0.3")
    three.wait_for(2, 4)
    before = three.counts()[1]
    for _ in range(20):
        three.ask()
    assert three.counts()[1] == before


def test_known_replicas_are_kept_while_names_cannot_be_resolved(three: Replicas) -> None:
    three.names.answers = False
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 4, "it was asked again")
    for _ in range(30):
        assert three.ask() == 200
    assert_alike(three.counts(), 30)
    three.names.answers = True
    three.start("127.0.0.5")
    three.wait_for(2, 3, 4, 5)


def test_without_a_replica_a_request_is_a_503_within_a_second(replicas: Replicas) -> None:
    began = time.monotonic()
    assert replicas.ask() == 503
    assert time.monotonic() - began < 1
    wait_until(lambda: "has no address" in replicas.reason(), "/health/ready says why")


def test_replicas_that_are_not_ready_get_nothing_and_are_told(three: Replicas) -> None:
    for server in three.servers.values():
        server.health = "unready"
    three.wait_for()
    before = three.counts()
    began = time.monotonic()
    assert three.ask() == 503
    assert time.monotonic() - began < 1
    assert three.counts() == before
    wait_until(lambda: three.reason() == "it answers 503", "/health/ready says why")


def test_a_replica_that_crashes_fails_no_request_that_may_be_repeated(three: Replicas) -> None:
    stop = threading.Event()
    statuses: list[int] = []

    def client(method: str) -> None:
        while not stop.is_set():
            statuses.append(three.ask(method=method))

    threads = [threading.Thread(target=client, args=(method,)) for method in REPEATABLE * 2]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(statuses) > 200, "they are at work")
    three.servers["127.0.0.3"].crash()
    at_crash = len(statuses)
    wait_until(lambda: len(statuses) > at_crash + 400, "they go on")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    three.wait_for(2, 4)


def test_a_replica_that_comes_back_gets_requests_again(three: Replicas) -> None:
    three.servers["127.0.0.3"].crash()
    three.wait_for(2, 4)
    three.start("127.0.0.3")
    three.wait_for(2, 3, 4)
    for _ in range(30):
        assert three.ask() == 200
    assert len(three.servers["127.0.0.3"].requests()) == 10


def test_a_request_that_finds_nobody_listening_is_sent_to_another(three: Replicas) -> None:
    # Before any check notices.
    three.servers["127.0.0.2"].crash()
    for method in UNSAFE + REPEATABLE:
        body = None if method in {"GET", "HEAD"} else b"{}"
        assert [three.ask(method=method, body=body) for _ in range(3)] == [200] * 3, method


@pytest.mark.parametrize(("path", "status"), [("/dies-before-answer", 502), ("/says-nothing", 504)])
def test_a_request_that_a_replica_may_have_done_is_not_sent_again(
    three: Replicas, path: str, status: int
) -> None:
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(three.ask, path, method, b"{}") for method in UNSAFE]
        assert [each.result() for each in asked] == [status] * len(UNSAFE)
    assert sum(three.counts()) == len(UNSAFE)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_ends_every_replica_is_sent_three_times_and_no_more(three: Replicas, method: str) -> None:
    assert three.ask("/dies-before-answer", method) == 502
    assert sum(three.counts()) == 3


def test_a_replica_that_is_about_to_stop_leaves_before_it_stops_serving(three: Replicas) -> None:
    three.ask()
    began = time.monotonic()
    three.servers["127.0.0.3"].health = "draining"
    three.wait_for(2, 4)
    assert time.monotonic() - began < 4
    before = three.counts()[1]
    for _ in range(20):
        three.ask(method="POST", body=b"{}")
    assert three.counts()[1] == before


def test_a_read_that_waits_for_a_replica_that_hangs_asks_another(three: Replicas) -> None:
    three.servers["127.0.0.3"].health = "says_nothing"
    three.servers["127.0.0.3"].hangs = True
    assert [three.ask() for _ in range(3)] == [200] * 3
    three.wait_for(2, 4)


def test_a_kept_connection_that_dies_under_a_repeatable_request_is_replaced(replicas: Replicas) -> None:
    only = replicas.start("127.0.0.2")
    replicas.wait_for(2)
    # Whether a request meets a kept connection is the proxy's business: it had one where it was sent twice.
    for asked in range(1, 21):
        assert replicas.ask("/answers-once") == 200
        if len(only.requests()) > asked:
            return
    pytest.fail("no request met a kept connection")


def test_a_kept_connection_that_the_other_side_has_closed_is_not_used(replicas: Replicas) -> None:
    only = replicas.start("127.0.0.2")
    replicas.wait_for(2)
    replicas.ask("/dies-after-answer")
    wait_until(lambda: only.requests()[0].is_closed, "the server has closed it")
    assert replicas.ask(method="POST", body=b"{}") == 200
    assert len(only.requests()) == 2
