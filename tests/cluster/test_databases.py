"""Each database has a server on each machine: one is the primary, another one has all that it committed."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

import pytest
from tests.cluster.losses import ADDRESSES
from tests.cluster.ordering import Ordering
from tests.cluster.read_load import ReadLoad
from tests.cluster.swarm import DATABASES, MACHINES, NETWORK, STORE, Swarm, next_gateway, others, outside
from tests.library.support import wait_until
from tests.operations.operator import Operator, append, copy_of_sources

pytestmark = pytest.mark.timeout(900)

THIRD = MACHINES[2]
# What is promised to a client that tries the next gateway.
REFUSED_SECONDS = 30


@pytest.mark.parametrize("database", DATABASES)
def test_all_machines_agree_on_the_primary(swarm: Swarm, database: str) -> None:
    swarm.wait_until_well(120)
    seen = [swarm.members(database, machine) for machine in MACHINES]
    assert seen == [seen[0]] * len(MACHINES)
    assert sorted(seen[0]) == list(MACHINES)
    assert sorted(seen[0].values()) == ["Leader", "Replica", "Sync Standby"]


@pytest.mark.parametrize("container", [STORE, *DATABASES])
def test_no_port_of_a_database_is_published(swarm: Swarm, container: str) -> None:
    for machine in MACHINES:
        assert swarm.run(f"docker port {container}", machine) == ""


def test_the_store_asks_for_a_password(swarm: Swarm) -> None:
    for machine in MACHINES:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            swarm.run(f"docker exec {STORE} etcdctl get --prefix /", machine)
        assert "user name is empty" in refused.value.stderr


def wait_until_taken_over(swarm: Swarm, ordering: Ordering, old: str) -> None:
    """Wait until another machine than the old one has the primary of billing-database, and stores orders."""
    other = others(old)[0]
    wait_until(
        lambda: swarm.primary("billing-database", other) not in ("", old),
        "there is another primary",
        REFUSED_SECONDS,
    )
    before = ordering.stored(other)
    wait_until(lambda: ordering.stored(other) > before, "orders are stored again", REFUSED_SECONDS)


def test_a_primary_that_is_killed_is_replaced_and_follows_the_new_one(swarm: Swarm, tmp_path: Path) -> None:
    swarm.wait_until_well(120)
    old = swarm.primary("billing-database")
    with Ordering(swarm, tmp_path, "primary killed") as ordering:
        swarm.run("docker kill billing-database", old)
        wait_until_taken_over(swarm, ordering, old)
        swarm.run("docker start billing-database", old)
        swarm.wait_until_well(120)
    print(dict(ordering.count()))


def test_a_primary_that_crashes_gives_its_role_away(swarm: Swarm, tmp_path: Path) -> None:
    """Where the cause stays, as on a full disk, it would crash again and again and keep its role."""
    swarm.wait_until_well(120)
    old = swarm.primary("billing-database")
    data = swarm.run(swarm.psql("SHOW data_directory"), old)
    with Ordering(swarm, tmp_path, "primary crashes") as ordering:
        swarm.run(f"docker exec billing-database sh -c 'kill -9 $(head -1 {data}/postmaster.pid)'", old)
        wait_until_taken_over(swarm, ordering, old)
        swarm.wait_until_well(120)
    print(dict(ordering.count()))


def test_reads_are_refused_for_a_short_time_when_the_primary_is_lost(swarm: Swarm) -> None:
    swarm.wait_until_well(120)
    old = swarm.primary("inventory-database")
    try:
        with ReadLoad(next_gateway()) as load:
            time.sleep(3)
            outside("kill", old)
            time.sleep(REFUSED_SECONDS)
            failed, answered = len(load.failed), load.answered
            time.sleep(5)
            assert len(load.failed) == failed, load.failed[-1]
            assert load.answered > answered
    finally:
        outside("start", old)
    print(f"{load.answered} reads, {failed} refused, the longest took {load.longest:.1f} s")
    swarm.wait_until_well(120)


def test_a_primary_that_is_cut_off_takes_no_more_writes(swarm: Swarm) -> None:
    swarm.wait_until_well(120)
    old = swarm.primary("billing-database")
    other = others(old)[0]
    order = str(uuid.uuid4())
    row = f"INSERT INTO orders (order_id, user_id, number_of_items) VALUES ('{order}', 'cut-off', 1)"  # noqa: S608
    outside("network", "disconnect", NETWORK, old)
    try:
        # It waits for somebody to follow it, and nobody does.
        with pytest.raises(subprocess.CalledProcessError):
            swarm.run(f"timeout 8 {swarm.psql(row)}", old)
        wait_until(
            lambda: swarm.primary("billing-database", other) not in ("", old),
            "there is another primary",
            REFUSED_SECONDS,
        )
        wait_until(
            lambda: swarm.run(swarm.psql("SELECT pg_is_in_recovery()"), old) == "t",
            "the old primary is none any more",
            REFUSED_SECONDS,
        )
    finally:
        outside("network", "connect", "--ip", ADDRESSES[old], NETWORK, old)
    swarm.wait_until_well(120)
    for machine in MACHINES:
        query = f"SELECT count(*) FROM orders WHERE order_id = '{order}'"  # noqa: S608
        assert swarm.run(swarm.psql(query), machine) == "0"


def test_servers_without_their_data_copy_it(swarm: Swarm, operator: Operator, tmp_path: Path) -> None:
    swarm.wait_until_well(120)
    with Ordering(swarm, tmp_path, "databases without data") as ordering:
        for container in (STORE, *DATABASES):
            swarm.run(f"docker rm --force {container} && docker volume rm {container}", THIRD)
        operator.run("site.yml")
        swarm.wait_until_well(120)
    ordering.count()
    assert operator.run("site.yml").changes == []


def test_a_new_version_replaces_one_server_after_the_other(
    swarm: Swarm, operator: Operator, tmp_path: Path
) -> None:
    swarm.wait_until_well(120)
    sources = copy_of_sources(tmp_path)
    append(sources, "postgres/postgresql.conf", f"# version {uuid.uuid4()}")
    append(sources, "etcd/ask", f"# version {uuid.uuid4()}")
    containers = [(name, machine) for name in (STORE, *DATABASES) for machine in MACHINES]
    before = {container: swarm.made(*container) for container in containers}
    with Ordering(swarm, tmp_path, "new databases") as ordering, ReadLoad(next_gateway()) as load:
        operator.run("site.yml", container_build_root=str(sources))
    swarm.wait_until_well(120)
    print(dict(ordering.count()), f"{load.answered} reads, {len(load.failed)} failed")
    after = {container: swarm.made(*container) for container in containers}
    assert all(after[container] != before[container] for container in containers)
    operator.run("site.yml")
