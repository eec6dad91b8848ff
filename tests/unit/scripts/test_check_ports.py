"""Compose is told of a port that another program has, before a container starts."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.library.programs import attempt

from argument_specs import ROOT

NAMELESS = "no-container.invalid"


def check(*published: str, listening: str = "/proc/self/net") -> subprocess.CompletedProcess[str]:
    return attempt(ROOT / "srcs/secrets/check-ports", *published, env=os.environ | {"LISTENING": listening})


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("address", ["", "0.0.0.0:", "127.0.0.1:"])
def test_a_port_that_another_program_has_is_told_with_what_to_do(taken: int, address: str) -> None:
    done = check(f"{NAMELESS} {address}{taken}:3000")
    assert done.returncode == 78
    said = f"port {taken} of this computer, which {NAMELESS} needs, is taken by another program"
    assert said in done.stderr
    assert "GATEWAY_PORT" in done.stderr


def test_all_such_ports_are_told_at_once(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = check(f"{NAMELESS} {taken}:3000", f"{NAMELESS} 127.0.0.1:{port}:15672").stderr
    assert f"port {taken} " in said
    assert f"port {port} " in said


def test_a_port_of_the_platform_that_runs_is_its_own(taken: int) -> None:
    assert check(f"localhost {taken}:3000").returncode == 0


def test_the_same_port_of_another_address_is_free(taken: int) -> None:
    assert check(f"{NAMELESS} 127.0.0.2:{taken}:3000").returncode == 0


def test_of_a_range_of_ports_one_is_enough(taken: int) -> None:
    assert check(f"{NAMELESS} {taken}-{taken + 1}:3000").returncode == 0


def test_who_only_connects_has_no_port(taken: int) -> None:
    with socket.create_connection(("127.0.0.1", taken)) as client:
        assert check(f"{NAMELESS} {client.getsockname()[1]}:3000").returncode == 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this computer has no IPv6")
@pytest.mark.parametrize("address", ["", "127.0.0.1:"])
def test_who_listens_on_all_addresses_of_both_families_has_the_port(address: str) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        assert check(f"{NAMELESS} {address}{listener.getsockname()[1]}:3000").returncode == 78


def test_where_it_cannot_be_seen_who_listens_nothing_is_told(taken: int, tmp_path: Path) -> None:
    assert check(f"{NAMELESS} {taken}:3000", listening=str(tmp_path)).returncode == 0
