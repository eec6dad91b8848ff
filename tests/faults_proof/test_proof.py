"""The fault suite can fail: each weakness that it is there to find is built in once, and it must find it."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from tests.faults.catalogue import BY_NAME, GATEWAY
from tests.faults.platform_under_test import Platform
from tests.faults.schedule import SHORT, Step
from tests.faults.suite import Suite
from tests.faults_proof.conftest import WEAKNESSES, Weaken
from tests.library.settings import PATIENCE, gateway_url
from tests.library.support import wait_until

pytestmark = [pytest.mark.recovery, pytest.mark.timeout(1800 * PATIENCE)]

# The weakness; the faults of the short form that bring it out; what the suite must say.
EXPECTED = (
    ("confirms-off", ("freeze and kill rabbitmq", "kill inventory-app"), "orders lost"),
    ("acknowledged-before-commit", ("kill billing-database", "kill billing-app"), "orders lost"),
    ("answered-before-stored", ("stop and start rabbitmq", "kill api-gateway-app"), "orders lost"),
    ("keys-forgotten", ("kill billing-database", "kill billing-app"), "keys with two orders"),
)
UNSYNCHRONISED = "store-not-synchronised"


def test_every_weakness_that_is_described_is_tried() -> None:
    described = {path.stem for path in WEAKNESSES.glob("*.patch")}
    assert described == {weakness for weakness, _, _ in EXPECTED} | {UNSYNCHRONISED}


def test_an_order_that_could_not_be_synchronised_to_the_disk_is_refused(platform: Platform) -> None:
    with _disk_that_fails(platform):
        assert _order().status_code == 503


@pytest.mark.parametrize(("weakness", "faults", "finding"), EXPECTED, ids=[case[0] for case in EXPECTED])
def test_the_suite_reports_what_a_weakness_does(
    platform: Platform,
    say: Callable[[str], None],
    weaken: Weaken,
    weakness: str,
    faults: tuple[str, ...],
    finding: str,
) -> None:
    assert faults in SHORT, "a run of the short form meets it as well"
    seed = random.SystemRandom().randrange(10**6)
    step = Step(tuple(BY_NAME[name] for name in faults), gap=1, seconds=8)
    say(f"building the platform with: {weakness}")
    weaken(weakness)
    # Twice, since chance decides how much is in hand when something is killed.
    verdict = Suite(platform, seed=seed, again="make test-faults-proof", say=say).run(iter([step, step]))
    assert finding in verdict.findings, f"nothing was found: {dict(verdict.figures)}"


def test_a_store_that_does_not_synchronise_is_noticed(platform: Platform, weaken: Weaken) -> None:
    weaken(UNSYNCHRONISED)
    with _disk_that_fails(platform):
        assert _order().status_code == 200, "it does not ask the disk, and so takes the order"


def _order() -> requests.Response:
    return requests.post(f"{gateway_url()}/api/billing", json={"user_id": "proof", "film_id": 1}, timeout=30)


@contextmanager
def _disk_that_fails(platform: Platform) -> Iterator[None]:
    """Every fsync and fdatasync of the gateway fails, and the broker is away, so that it needs them.

    A process that is killed does not lose what it wrote: that is in the kernel's memory, which a
    container shares with its host. So instead of cutting the power, this shows whether the gateway
    waits for the disk before it answers.
    """
    platform.wait_until_well()
    platform.run("command -v strace || { apt-get update -qq && apt-get install -qq -y strace; }")
    with BY_NAME["stop and start rabbitmq"].broken(platform):
        wait_until(
            lambda: platform.readiness()["dependencies"]["rabbitmq"]["status"] == "down",
            "the gateway notices that the broker is away",
        )
        processes = " ".join(f"-p {pid}" for pid in platform.pids(GATEWAY)[1:])
        inject = "inject=fsync,fdatasync:error=EIO"
        strace = f"strace -f -qq -o /run/strace.out -e trace=fsync,fdatasync -e {inject} {processes}"
        script = f"nohup {strace} > /run/strace.err 2>&1 & echo $! > /run/strace.pid"
        platform.run(f"sh -c {shlex.quote(script)}")
        try:
            tracer = int(platform.run("cat /run/strace.pid"))
            status = " ".join(f"/proc/{pid}/task/*/status" for pid in platform.pids(GATEWAY)[1:])
            wait_until(
                lambda: (
                    set(platform.run(f"awk '/^TracerPid/ {{print $2}}' {status}").split()) == {str(tracer)}
                ),
                "all threads of the gateway are traced",
            )
            yield
        finally:
            platform.run("kill $(cat /run/strace.pid)")
    platform.wait_until_well()
