"""How requests are spread over the replicas of an app, and what becomes of them when one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from faulty_upstream import FaultyUpstream
from servers import free_port, wait_until

from api_gateway_app.upstream import discovery
from api_gateway_app.upstream.connection import (
    IDLE_SECONDS,
    UnusableAnswer,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from api_gateway_app.upstream.pool import Pool
from api_gateway_app.upstream.probes import READY_PATH
from api_gateway_app.upstream.rotation import Exchange, State

UNSAFE = ["POST", "PATCH", "DELETE"]
REPEATABLE = ["GET", "HEAD", "OPTIONS", "PUT"]


@dataclass
class Replicas:
    """Replicas of one app, each at a loopback address of its own, and the pool that finds them."""

    read_seconds: float = 5.0
    names_work: bool = True
    asked: int = 0
    servers: dict[str, FaultyUpstream] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.port = free_port()
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """The pool, made when it is first needed."""
        if self._pool is None:
            url = f"http://app.invalid:{self.port}"
            self._pool = Pool("app", url, 32, self.read_seconds, self._resolve)
        return self._pool

    def start(self, host: str, *, health: str = "ready") -> FaultyUpstream:
        """Start a replica and give it the app's name."""
        self.servers[host] = FaultyUpstream(host, self.port, health)
        self.known.add(host)
        return self.servers[host]

    def wait_for(self, **states: State) -> None:
        """Wait until exactly these are known; `_2=State.READY` is the replica at 127.0.0.2."""
        wanted = {f"127.0.0.{name[1:]}": state for name, state in states.items()}
        wait_until(lambda: self.pool.states() == wanted, f"{self.pool.states()} are {wanted}")

    def ask(self, path: str = "/api/movies", method: str = "GET", body: bytes | None = None) -> int:
        """Send a request; returns the status."""

        def receive(exchange: Exchange) -> int:
            while exchange.read(65536):
                pass
            exchange.finish()
            return exchange.response.status

        return self.pool.request(method, path, [], body, receive)

    def counts(self) -> list[int]:
        """How many requests each has got."""
        return [len(server.requests()) for server in self.servers.values()]

    def close(self) -> None:
        if self._pool:
            self._pool.close()
        for server in self.servers.values():
            server.close()

    def _resolve(self, _host: str) -> frozenset[str]:
        self.asked += 1
        if not self.names_work or not self.known:
            raise OSError("nobody knows")
        return frozenset(self.known)


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    replicas = Replicas()
    yield replicas
    replicas.close()


@pytest.fixture
def three(replicas: Replicas) -> Replicas:
    """Three replicas in rotation."""
    for host in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        replicas.start(host)
    replicas.wait_for(_2=State.READY, _3=State.READY, _4=State.READY)
    return replicas


def test_requests_one_after_the_other_go_to_all_replicas_alike(three: Replicas) -> None:
    for _ in range(60):
        assert three.ask() == 200
    assert three.counts() == [20, 20, 20]


def test_many_requests_at_once_go_to_all_replicas(three: Replicas) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: three.ask(), range(600))) == {200}
    assert sum(three.counts()) == 600
    assert min(three.counts()) > 100


def test_a_replica_that_is_slow_gets_fewer_requests(three: Replicas) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(three.ask, "/says-nothing", "POST", b"{}")
        wait_until(lambda: sum(three.counts()) == 1, "one of them is busy")
        busy = three.counts().index(1)
        for _ in range(30):
            three.ask()
        counts = three.counts()
        assert counts.pop(busy) == 1
        assert counts == [15, 15]
        three.servers[f"127.0.0.{busy + 2}"].close()
        with pytest.raises(UpstreamFailed):
            slow.result()


def test_connections_to_each_replica_are_kept(three: Replicas) -> None:
    for _ in range(3):
        three.ask()
    before = [server.connections for server in three.servers.values()]
    for _ in range(30):
        three.ask()
    assert [server.connections for server in three.servers.values()] == before


def test_a_new_replica_is_found_within_five_seconds_and_gets_its_share(three: Replicas) -> None:
    began = time.monotonic()
    new = three.start("127.0.0.5")
    wait_until(lambda: three.ask() == 200 and new.requests() != [], "the new one gets requests", 20)
    assert time.monotonic() - began < 5
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY, _5=State.READY)


def test_a_new_replica_gets_nothing_before_it_is_ready(three: Replicas) -> None:
    new = three.start("127.0.0.5", health="unready")
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY, _5=State.UNREADY)
    for _ in range(30):
        three.ask()
    assert not new.requests()
    new.health = "ready"
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY, _5=State.READY)


def test_a_replica_that_is_gone_is_forgotten(three: Replicas) -> None:
    three.known.remove("127.0.0.3")
    three.wait_for(_2=State.READY, _4=State.READY)
    before = three.counts()[1]
    for _ in range(20):
        three.ask()
    assert three.counts()[1] == before


def test_known_replicas_are_kept_while_names_cannot_be_resolved(three: Replicas) -> None:
    three.names_work = False
    asked = three.asked
    wait_until(lambda: three.asked >= asked + 2, "it was asked again")
    for _ in range(30):
        assert three.ask() == 200
    assert three.counts() == [10, 10, 10]
    three.names_work = True
    three.start("127.0.0.5")
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY, _5=State.READY)


def test_one_that_fails_while_names_cannot_be_resolved_may_be_another_services_and_is_forgotten(
    three: Replicas,
) -> None:
    three.names_work = False
    three.servers["127.0.0.3"].crash()
    for _ in range(10):
        assert three.ask() == 200
    three.wait_for(_2=State.READY, _4=State.READY)


def test_a_name_without_an_address_is_asked_for_by_the_request_that_needs_it(replicas: Replicas) -> None:
    with pytest.raises(UpstreamUnreachable):
        replicas.ask()
    replicas.start("127.0.0.2")
    assert replicas.ask() == 200


def test_a_replica_that_crashes_fails_no_request_that_may_be_repeated(three: Replicas) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []
    done = 0

    def client(method: str) -> None:
        nonlocal done
        while not stop.is_set():
            try:
                three.ask(method=method)
                done += 1
            except UpstreamFailed as error:
                failures.append(error)

    threads = [threading.Thread(target=client, args=(method,)) for method in REPEATABLE * 2]
    for thread in threads:
        thread.start()
    wait_until(lambda: done > 200, "they are at work")
    three.servers["127.0.0.3"].crash()
    at_crash = done
    wait_until(lambda: done > at_crash + 400, "they go on")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert three.pool.states()["127.0.0.3"] is State.FAILED


def test_a_replica_that_comes_back_gets_requests_again(three: Replicas) -> None:
    three.servers["127.0.0.3"].crash()
    for _ in range(10):
        assert three.ask() == 200
    three.wait_for(_2=State.READY, _3=State.FAILED, _4=State.READY)
    three.start("127.0.0.3")
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY)
    for _ in range(30):
        three.ask()
    assert len(three.servers["127.0.0.3"].requests()) == 10


@pytest.mark.parametrize("method", UNSAFE + REPEATABLE)
def test_a_request_that_finds_nobody_listening_is_sent_to_another(three: Replicas, method: str) -> None:
    # Before any probe notices.
    for host in ("127.0.0.2", "127.0.0.3"):
        three.servers[host].crash()
    body = None if method in {"GET", "HEAD"} else b"{}"
    assert [three.ask(method=method, body=body) for _ in range(3)] == [200] * 3
    assert three.counts() == [0, 0, 3]


@pytest.mark.parametrize("path", ["/dies-before-answer", "/dies-in-body", "/resets-in-body"])
@pytest.mark.parametrize("method", UNSAFE)
def test_a_request_that_a_replica_may_have_done_is_not_sent_again(
    three: Replicas, method: str, path: str
) -> None:
    with pytest.raises(UpstreamUnreachable):
        three.ask(path, method, b"{}")
    assert sum(three.counts()) == 1


@pytest.mark.parametrize("path", ["/dies-before-answer", "/dies-in-body", "/resets-in-body"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_ends_every_replica_is_sent_to_no_more_than_two(three: Replicas, method: str, path: str) -> None:
    with pytest.raises(UpstreamUnreachable):
        three.ask(path, method)
    assert sum(three.counts()) == 2


def test_an_answer_that_cannot_be_passed_on_is_no_failure_of_the_replica(three: Replicas) -> None:
    def receive(_exchange: Exchange) -> int:
        raise UnusableAnswer("not for us")

    with pytest.raises(UnusableAnswer):
        three.pool.request("GET", "/api/movies", [], None, receive)
    assert sum(three.counts()) == 1
    assert set(three.pool.states().values()) == {State.READY}


def test_a_replica_that_is_about_to_stop_leaves_with_its_first_answer(three: Replicas) -> None:
    for _ in range(3):
        three.ask("/closes-afterwards")
    assert set(three.pool.states().values()) == {State.DRAINING}
    # It serves all the same, and is back when it says so.
    assert three.ask() == 200
    three.wait_for(_2=State.READY, _3=State.READY, _4=State.READY)


def test_a_replica_that_is_about_to_stop_leaves_without_any_request(three: Replicas) -> None:
    three.ask()
    three.servers["127.0.0.3"].health = "draining"
    three.wait_for(_2=State.READY, _3=State.DRAINING, _4=State.READY)
    before = three.counts()[1]
    for _ in range(20):
        three.ask(method="POST", body=b"{}")
    assert three.counts()[1] == before


def test_where_no_replica_is_ready_they_are_tried_all_the_same(three: Replicas) -> None:
    for server in three.servers.values():
        server.health = "unready"
    three.wait_for(_2=State.UNREADY, _3=State.UNREADY, _4=State.UNREADY)
    for _ in range(30):
        assert three.ask() == 200
    assert three.counts() == [10, 10, 10]


def test_a_replica_that_hangs_is_left_and_who_waits_for_it_asks_another(replicas: Replicas) -> None:
    replicas.read_seconds = 30
    hanging = replicas.start("127.0.0.2")
    replicas.wait_for(_2=State.READY)
    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(replicas.ask, "/says-nothing")
        write = pool.submit(replicas.ask, "/says-nothing", "POST", b"{}")
        wait_until(lambda: len(hanging.requests()) == 2, "both wait")
        other = replicas.start("127.0.0.3")
        replicas.wait_for(_2=State.READY, _3=State.READY)
        hanging.health = "says_nothing"
        wait_until(lambda: other.requests() != [], "the read asks another", 30)
        assert not write.done(), "what it may have done is waited for"
        replicas.wait_for(_2=State.FAILED, _3=State.READY)
        other.close()
        hanging.close()
        for request in (read, write):
            with pytest.raises(UpstreamUnreachable):
                request.result()


def test_a_silent_replica_is_given_up_and_the_request_has_no_time_for_another() -> None:
    replicas = Replicas(read_seconds=0.2)
    for host in ("127.0.0.2", "127.0.0.3"):
        replicas.start(host)
    replicas.wait_for(_2=State.READY, _3=State.READY)
    with pytest.raises(UpstreamTimeout):
        replicas.ask("/says-nothing")
    assert sum(replicas.counts()) == 1
    replicas.close()


def test_a_kept_connection_that_dies_under_a_repeatable_request_is_replaced(replicas: Replicas) -> None:
    only = replicas.start("127.0.0.2")
    replicas.wait_for(_2=State.READY)
    for _ in range(2):
        assert replicas.ask("/answers-once") == 200
    assert [request.number_on_connection for request in only.requests()] == [1, 2, 1]


def test_a_kept_connection_that_the_other_side_has_closed_is_not_used(replicas: Replicas) -> None:
    only = replicas.start("127.0.0.2")
    replicas.wait_for(_2=State.READY)
    replicas.ask("/dies-after-answer")
    wait_until(lambda: only.ended >= 1, "the server has closed it")
    assert replicas.ask(method="POST", body=b"{}") == 200
    assert len(only.requests()) == 2


def test_a_connection_is_not_used_after_a_pause_in_which_the_server_may_close_it(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = replicas.start("127.0.0.2")
    replicas.wait_for(_2=State.READY)
    replicas.ask()
    later = time.monotonic() + IDLE_SECONDS + 1
    monkeypatch.setattr("api_gateway_app.upstream.connection.time.monotonic", lambda: later)
    replicas.ask()
    assert [request.number_on_connection for request in only.requests()] == [1, 1]


def test_a_single_replica_that_was_away_is_asked_at_once(replicas: Replicas) -> None:
    replicas.start("127.0.0.2").crash()
    for _ in range(20):
        with pytest.raises(UpstreamUnreachable):
            replicas.ask()
    replicas.start("127.0.0.2")
    assert replicas.ask() == 200


def test_replicas_are_asked_for_their_health_and_not_overrun(replicas: Replicas) -> None:
    only = replicas.start("127.0.0.2", health="unready")
    replicas.wait_for(_2=State.UNREADY)
    began, before = time.monotonic(), len(only.received)
    wait_until(lambda: len(only.received) >= before + 3, "it is asked again and again")
    assert {request.target for request in only.received} == {READY_PATH}
    assert len(only.received) - before < 5 + 10 * (time.monotonic() - began)


def test_the_addresses_of_a_name_are_those_of_the_name_server() -> None:
    assert discovery.resolve("127.0.0.9") == {"127.0.0.9"}
    assert discovery.resolve("::1") == {"::1"}
    assert discovery.resolve("localhost") == {"127.0.0.1"}
    with pytest.raises(OSError, match=r"(?i)name or service|name resolution|no address"):
        discovery.resolve("unknown.invalid")
