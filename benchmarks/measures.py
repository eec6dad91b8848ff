"""What is measured of the whole: memory, images, what happens while the broker stands still, and after it."""

from __future__ import annotations

import subprocess
from typing import Any, Final

from benchmarks.loads import Load, put_on
from benchmarks.machine import BenchError, Machine, result
from benchmarks.requests import GATEWAY, IN_FLIGHT, ORDER
from benchmarks.twins import SERVICES, Twins

PLACE_ORDERS: Final = Load(f"{GATEWAY}/api/billing", "POST", ORDER, connections=IN_FLIGHT)
FEW_ORDERS: Final = Load(f"{GATEWAY}/api/billing", "POST", ORDER, connections=4)


def rate(figures: dict[str, Any]) -> float:
    """Return requests per second."""
    return float(figures["requests"]) / float(figures["seconds"])


def broker_paused(machine: Machine, twins: Twins, *, seconds: float) -> dict[str, float]:
    """POST /api/billing while the broker stands still, and how fast the kept orders go afterwards."""
    _signal(machine, "bench-rabbitmq", "STOP")
    try:
        # The first orders, of each worker, wait for their confirms.
        put_on(twins, PLACE_ORDERS, 2)
        kept = put_on(twins, PLACE_ORDERS, seconds)
        watcher = _watch(machine, "/bench/drain.py", "120")
    finally:
        _signal(machine, "bench-rabbitmq", "CONT")
    # New orders meanwhile: the backlog must not starve them, nor they it.
    new = put_on(twins, FEW_ORDERS, seconds)
    went = _watched(watcher, "the kept orders")
    if went["all"] < (accepted := kept["rate"] * seconds):
        raise BenchError(f"Only {went['all']:.0f} of more than {accepted:.0f} kept orders were handed over.")
    return {
        "accepted": kept["rate"],
        "accepted_p99_ms": kept["p99_ms"],
        "handed_over": rate(went),
        "new_meanwhile": new["rate"],
    }


def backlog(machine: Machine, twins: Twins) -> dict[str, float]:
    """How fast billing-app stores what has gathered, and PostgreSQL alone inserting by 500."""
    alone = rate(result(twins.tool("python3", "/bench/insert.py", twins.connection_string(), "4")))
    waiting = _messages(machine)
    if not waiting:
        raise BenchError("There is no backlog to be stored: name the part orders too, which makes one.")
    watcher = _watch(machine, "/bench/count.py", twins.connection_string(), "120")
    machine.docker("start", "bench-billing-app")
    figures = _watched(watcher, f"the backlog of {waiting} orders")
    # Doubles on the way are stored once, so there are fewer rows than there were messages.
    if (left := _messages(machine)) or figures["rows"] < twins.accepted[PLACE_ORDERS.url]:
        raise BenchError(
            f"billing-app stored {figures['rows']} of {twins.accepted[PLACE_ORDERS.url]} accepted orders; "
            f"{left} messages still wait."
        )
    return {
        "orders": waiting,
        "billing_app": rate(figures),
        "postgresql": alone,
        "ratio": rate(figures) / alone,
    }


def _messages(machine: Machine) -> int:
    """Return how many orders are in the queue of the twins' broker, deliveries included."""
    return int(
        machine.docker(
            "exec", "bench-rabbitmq", "rabbitmqctl", "--quiet", "eval",
            '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"billing_queue">>)), '
            "[{messages, N}] = rabbit_amqqueue:info(Q, [messages]), N.",
        )
    )  # fmt: skip


def sizes(machine: Machine) -> dict[str, dict[str, float]]:
    """The memory of the platform's own six at rest, and the sizes of their images, in MiB and MB."""
    lines = machine.docker(
        "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *SERVICES
    ).splitlines()
    memory = {name: _mebibytes(used) for name, used, *_ in (line.split() for line in lines)}
    images = {each["Name"].lstrip("/"): each["Image"] for each in machine.inspect(*SERVICES)}
    size = {name: machine.inspect(image)[0]["Size"] / 1e6 for name, image in images.items()}
    return {name: {"memory_mib": memory[name], "image_mb": size[name]} for name in SERVICES}


def _mebibytes(text: str) -> float:
    for unit, factor in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise BenchError(f"`docker stats` speaks of {text}, which is no size that is known here.")


def _signal(machine: Machine, container: str, signal: str) -> None:
    """Send a signal to all processes of a container. `docker pause` does not succeed everywhere."""
    _, *process_ids = machine.docker("top", container, "-eo", "pid").split()
    # A health check may have ended meanwhile.
    machine.run("sh", "-c", f"kill -{signal} {' '.join(process_ids)} || true")


def _watch(machine: Machine, *tool: str) -> subprocess.Popen[str]:
    """Start a tool that watches something; return once it does."""
    watcher = machine.start("exec", "bench-tools", "python3", *tool)
    if watcher.stdout is None or not watcher.stdout.readline().startswith("WATCHING"):
        raise BenchError(f"{tool[0]} does not see what it should watch.")
    return watcher


def _watched(watcher: subprocess.Popen[str], what: str) -> dict[str, Any]:
    """Return what a tool has seen."""
    try:
        output, _ = watcher.communicate(timeout=150)
    except subprocess.TimeoutExpired as error:
        watcher.kill()
        raise BenchError(f"Waited 150 s in vain for the end of {what}.") from error
    return result(output)
