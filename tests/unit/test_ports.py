"""Ports for the servers of the tests: each is given to one server alone."""

from __future__ import annotations

from tests.library.servers import SERVER_PORTS, free_port, share_of_ports

WORKERS = 4


def test_each_call_gives_another_port() -> None:
    ports = [free_port() for _ in range(1_000)]
    assert len(set(ports)) == len(ports)


def test_no_two_processes_share_a_port() -> None:
    shares = [share_of_ports(worker, WORKERS) for worker in range(WORKERS)]
    assert sorted(port for share in shares for port in share) == list(SERVER_PORTS)
