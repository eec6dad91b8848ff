"""The faults. Each is a context: what is broken at its start is healed at its end, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from tests.faults.platform_under_test import Platform
from tests.library.support import wait_until
from tests.node.platform import NAMES, NETWORK

Breakage = Callable[[Platform], AbstractContextManager[None]]

GATEWAY: Final = "api-gateway-app"
BROKER: Final = "rabbitmq"
CONSUMER: Final = "billing-app"
DATABASE: Final = "billing-database"
TALKS: Final = (
    (GATEWAY, "inventory-app"),
    (GATEWAY, CONSUMER),
    (GATEWAY, BROKER),
    (CONSUMER, BROKER),
    (CONSUMER, DATABASE),
    ("inventory-app", "inventory-database"),
)
"""Who opens connections to whom."""

FREEZE_SECONDS: Final = 20.0
BRIEFLY: Final = (5.0, 12.0)
AT_ONCE: Final = (0.0, 0.0)


@dataclass(frozen=True)
class Fault:
    """Something that can break.

    Attributes:
        name: for people, and the same in every run.
        broken: makes the context in which it is broken.
        victims: the containers that it touches; two faults that overlap have none in common.
        seconds: between which durations it lasts; none for what is broken and healed in one go.
        excuses: whether the gateway may refuse or cut orders meanwhile: it is hit itself, or has no
            room. Whatever else is broken, it must go on taking orders.
        alone: whether nothing else may be broken at the same time.
        crash: whether it is a crash, after which the platform must come back by itself.
    """

    name: str
    broken: Breakage
    victims: frozenset[str]
    seconds: tuple[float, float] = AT_ONCE
    excuses: bool = False
    alone: bool = False
    crash: bool = False


@contextmanager
def _killed(name: str, platform: Platform) -> Iterator[None]:
    """The first process of the container is killed from the node: to Docker a crash, not a stop."""
    before = platform.started_at(name)
    platform.run(f"kill -KILL {platform.pid(name)}")
    try:
        yield
    finally:
        platform.wait_until_started_again(name, before)


@contextmanager
def _frozen(name: str, platform: Platform) -> Iterator[None]:
    """All of a container stands still for a while."""
    with _stopped(platform, platform.pids(name)):
        yield


@contextmanager
def _worker_frozen(name: str, platform: Platform) -> Iterator[None]:
    """One worker of an app's server stands still, and with it a part of the requests."""
    with _stopped(platform, [platform.workers(name)[-1]]):
        yield


@contextmanager
def _stopped(platform: Platform, processes: list[int]) -> Iterator[None]:
    """SIGSTOP; at the end SIGCONT to those processes that still exist."""
    _signal(platform, "STOP", processes)
    try:
        yield
    finally:
        _signal(platform, "CONT", processes)


def _signal(platform: Platform, signal: str, processes: list[int]) -> None:
    # A health check may have ended since its process was listed.
    numbers = " ".join(map(str, processes))
    platform.run(f"for pid in {numbers}; do kill -{signal} $pid || [ ! -e /proc/$pid ] || exit 1; done")


@contextmanager
def _frozen_and_killed(name: str, platform: Platform) -> Iterator[None]:
    """What was given to it while it stood still was never worked on: a promise must not rest on that."""
    before = platform.started_at(name)
    _signal(platform, "STOP", platform.pids(name))
    try:
        yield
    finally:
        platform.run(f"kill -KILL {platform.pid(name)}")
        platform.wait_until_started_again(name, before)


@contextmanager
def _restarted(name: str, platform: Platform) -> Iterator[None]:
    platform.run(f"docker restart {platform.node.container(name)}")
    yield


@contextmanager
def _by_docker(stop: str, start: str, name: str, platform: Platform) -> Iterator[None]:
    container = platform.node.container(name)
    try:
        platform.run(f"docker {stop} {container}")
        yield
    finally:
        platform.run(f"docker {start} {container}")


@contextmanager
def _cut(here: str, there: str, chains: tuple[str, ...], platform: Platform) -> Iterator[None]:
    """Packets between two containers vanish, in one direction or both, as when a cable is pulled."""
    pid, address = platform.pid(here), platform.address(there)
    direction = {"INPUT": "-s", "OUTPUT": "-d"}

    def iptables(action: str) -> None:
        rules = [f"iptables -w {action} {name} {direction[name]} {address} -j DROP" for name in chains]
        platform.run(f"nsenter --target {pid} --net sh -ec '{'; '.join(rules)}'")

    iptables("-I")
    try:
        yield
    finally:
        # A container that was started again has a new network namespace: the rules went with the old one.
        if platform.node.inspect(here)[here]["State"]["Pid"] == pid:
            iptables("-D")


@contextmanager
def _off_the_network(name: str, platform: Platform) -> Iterator[None]:
    """The container loses its network card and gets another one."""
    network = platform.node.inspect(name)[name]["NetworkSettings"]["Networks"][NETWORK]
    aliases = " ".join(f"--alias {alias}" for alias in network["Aliases"] or [])
    container = platform.node.container(name)
    try:
        platform.run(f"docker network disconnect {NETWORK} {container}")
        yield
    finally:
        platform.run(f"docker network connect {aliases} {NETWORK} {container}")


@contextmanager
def _alarm(command: str, alarming: str, variable: str, platform: Platform) -> Iterator[None]:
    """The broker believes that it is short of something, and blocks whoever publishes."""
    broker = f"docker exec {BROKER}"
    try:
        platform.run(f"{broker} rabbitmqctl -q {command} {alarming}")
        yield
    finally:
        platform.run(f"{broker} rabbitmqctl -q await_startup --timeout 120")
        platform.run(f"{broker} sh -c 'rabbitmqctl -q {command} ${variable}'")


@contextmanager
def small_volume(name: str, volume: str, spare_mib: int, platform: Platform) -> Iterator[str]:
    """Move the container's volume to a small file system in memory, and back at the end.

    What is in memory does not outlive the node, so this one and a restart of the node never meet.

    Yields: where that file system is.
    """
    real = platform.run(f"docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}")
    small = f"/run/small-{volume}"
    platform.run(f"docker stop {name}")
    try:
        size = int(platform.run(f"du -sm {real}").split()[0]) + spare_mib
        platform.run(
            f"set -e; mkdir -p {small}; mount -t tmpfs -o size={size}m tmpfs {small}; "
            f"cp -a {real}/. {small}/; mount --bind {small} {real}; docker start {name}"
        )
        # Only what has started can run out of space while it works.
        wait_until(
            lambda: platform.node.inspect(name)[name]["State"]["Health"]["Status"] == "healthy",
            f"{name} is healthy on its small volume",
            seconds=120,
        )
        yield small
    finally:
        platform.run(
            f"set -e; docker stop {name}; if mountpoint -q {real}; then umount {real}; "
            f"find {real} -mindepth 1 -delete; cp -a {small}/. {real}/; fi; "
            f"if mountpoint -q {small}; then umount {small}; fi; docker start {name}"
        )


@contextmanager
def full(directory: str, platform: Platform) -> Iterator[None]:
    """The file system of a directory has no room left."""
    try:
        platform.run(f"dd if=/dev/zero of={directory}/filler bs=4k 2>&1 | grep --quiet 'No space left'")
        yield
    finally:
        platform.run(f"rm -f {directory}/filler")


@contextmanager
def _disk_full(name: str, volume: str, spare_mib: int, platform: Platform) -> Iterator[None]:
    with small_volume(name, volume, spare_mib, platform) as directory, full(directory, platform):
        yield


@contextmanager
def _node_restarted(commands: tuple[tuple[str, ...], ...], platform: Platform) -> Iterator[None]:
    for command in commands:
        platform.outside(*command, platform.node_name)
    yield
    wait_until(platform.engine_answers, "the node's Docker Engine is up again", seconds=180)


def _of_one(
    word: str, breakage: Callable[..., AbstractContextManager[None]], **more: object
) -> Iterator[Fault]:
    """One fault for each container."""
    for name in NAMES:
        yield Fault(
            f"{word} {name}",
            partial(breakage, name),
            frozenset({name}),
            excuses=name == GATEWAY,
            **more,  # type: ignore[arg-type]
        )


def _cuts() -> Iterator[Fault]:
    both = ("INPUT", "OUTPUT")
    for here, there in TALKS:
        victims = frozenset({here, there})
        yield Fault(f"cut {here} | {there}", partial(_cut, here, there, both), victims, BRIEFLY)
    # Only the answers get lost: what was sent has arrived, and the sender does not know.
    for here, there in ((GATEWAY, BROKER), (CONSUMER, BROKER), (CONSUMER, DATABASE)):
        victims = frozenset({here, there})
        yield Fault(f"cut {here} <- {there}", partial(_cut, here, there, ("INPUT",)), victims, BRIEFLY)
    for name in (BROKER, CONSUMER, DATABASE):
        yield Fault(f"unplug {name}", partial(_off_the_network, name), frozenset({name}), BRIEFLY)


def _broker_faults() -> Iterator[Fault]:
    victims = frozenset({BROKER})
    memory = partial(_alarm, "set_vm_memory_high_watermark absolute", "1MB", "RABBITMQ_MEMORY_WATERMARK")
    disk = partial(_alarm, "set_disk_free_limit", "1000000GB", "RABBITMQ_DISK_FREE_LIMIT")
    yield Fault("memory alarm of rabbitmq", memory, victims, BRIEFLY)
    yield Fault("disk alarm of rabbitmq", disk, victims, BRIEFLY)
    yield Fault("pause rabbitmq", partial(_by_docker, "pause", "unpause", BROKER), victims, BRIEFLY)


def _of_the_node() -> Iterator[Fault]:
    database = partial(_disk_full, DATABASE, DATABASE, 24)
    yield Fault("disk full of billing-database", database, frozenset({DATABASE}), BRIEFLY)
    store = partial(_disk_full, GATEWAY, "api-gateway-orders", 8)
    yield Fault("store full of api-gateway-app", store, frozenset({GATEWAY}), BRIEFLY, excuses=True)
    everything = frozenset(NAMES)
    restart = partial(_node_restarted, (("restart", "--time", "60"),))
    yield Fault("restart the node", restart, everything, excuses=True, alone=True)
    # All that runs on it is killed at once.
    crash = partial(_node_restarted, (("kill", "--signal", "KILL"), ("start",)))
    yield Fault("kill the node", crash, everything, excuses=True, alone=True)


CATALOGUE: Final = tuple(
    chain(
        _of_one("kill", _killed, crash=True),
        _of_one("freeze", _frozen, seconds=(FREEZE_SECONDS, FREEZE_SECONDS)),
        _of_one("freeze and kill", _frozen_and_killed, seconds=BRIEFLY, crash=True),
        _of_one("restart", _restarted),
        _of_one("stop and start", partial(_by_docker, "stop", "start"), seconds=BRIEFLY),
        _cuts(),
        _broker_faults(),
        _of_the_node(),
        # Half of the gateway hangs.
        [
            Fault(
                "freeze a worker of api-gateway-app",
                partial(_worker_frozen, GATEWAY),
                frozenset({GATEWAY}),
                (FREEZE_SECONDS, FREEZE_SECONDS),
                excuses=True,
            )
        ],
    )
)
BY_NAME: Final = {fault.name: fault for fault in CATALOGUE}
