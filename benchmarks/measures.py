"""What is measured. Each measurement is a dictionary of figures in requests (or rows) per second."""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import Any, Final

from benchmarks.machine import BenchError, Machine, result
from benchmarks.twins import SERVICES, Twins

CONNECTIONS: Final = 32
IN_FLIGHT: Final = 64
INVENTORY: Final = "http://inventory-app:8080/api/movies"
GATEWAY: Final = "http://api-gateway-app:3000"
MOVIES: Final = {
    "nginx": "http://nginx:3000/api/movies",
    "gateway": f"{GATEWAY}/api/movies",
    "inventory": INVENTORY,
}


def wrk(
    twins: Twins, url: str, seconds: int, *, connections: int = CONNECTIONS, script: str = "summary"
) -> Any:
    """Put load on `url`; return what wrk's script `script` prints.

    Raises:
        BenchError: an answer was none of 2xx, or a connection broke: the figures would mean nothing.
    """
    load = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s")
    figures = result(twins.tool(*load, "-s", f"/bench/{script}.lua", url))
    if figures["not_2xx"] or figures["broken"]:
        raise BenchError(
            f"{url} answered {figures['not_2xx']} of {figures['requests']} requests with an error, and "
            f"{figures['broken']} connections broke."
        )
    return figures


def rate(figures: dict[str, Any]) -> float:
    """Return requests per second."""
    return float(figures["requests"]) / float(figures["seconds"])


def movies(twins: Twins, *, rounds: int, seconds: int) -> dict[str, float]:
    """GET /api/movies with three films: nginx, the gateway, inventory-app alone, in turns."""
    for number in range(3):
        movie = json.dumps({"title": f"Film {number}", "description": "For the benchmark."})
        twins.tool("python3", "-c", POST, INVENTORY, movie)
    for url in MOVIES.values():
        wrk(twins, url, 1)
    rates: dict[str, list[float]] = {name: [] for name in MOVIES}
    p99: list[float] = []
    for _ in range(rounds):
        for name, url in MOVIES.items():
            figures = wrk(twins, url, seconds)
            rates[name].append(rate(figures))
            if name == "gateway":
                p99.append(figures["p99_ms"])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = [each / other for each, other in zip(rates["gateway"], rates["nginx"], strict=True)]
    return medians | {
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "gateway_p99_ms": statistics.median(p99),
    }


POST: Final = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
urllib.request.urlopen(request, timeout=10).read()
"""


def orders(machine: Machine, twins: Twins, *, rounds: int, seconds: int) -> dict[str, float]:
    """POST /api/billing with confirms, and one pika publisher alone, in turns; billing-app is stopped."""
    machine.docker("stop", "bench-billing-app")
    ours, alone = [], []
    for number in range(rounds):
        ours.append(rate(_post_orders(twins, seconds)))
        publish = (twins.user, twins.password, f"bench_{number}", str(seconds), str(IN_FLIGHT))
        alone.append(rate(result(twins.tool("python3", "/bench/publish.py", *publish))))
    ratios = [each / other for each, other in zip(ours, alone, strict=True)]
    return {
        "gateway": statistics.median(ours),
        "broker": statistics.median(alone),
        "ratio": statistics.median(ratios),
    }


def broker_paused(machine: Machine, twins: Twins, *, seconds: int) -> dict[str, float]:
    """POST /api/billing while the broker stands still, and how fast the kept orders go afterwards."""
    _signal(machine, "bench-rabbitmq", "STOP")
    try:
        # The first orders, of each worker, wait for their confirms.
        _post_orders(twins, 2)
        kept = _post_orders(twins, seconds)
        watcher = _watch(machine, "/bench/drain.py", "120")
    finally:
        _signal(machine, "bench-rabbitmq", "CONT")
    # New orders meanwhile: the backlog must not starve them, nor they it.
    new = _post_orders(twins, seconds, connections=4)
    went = _watched(watcher, "the kept orders")
    if went["all"] < kept["requests"]:
        raise BenchError(
            f"Only {went['all']:.0f} of more than {kept['requests']} kept orders were handed over."
        )
    return {
        "accepted": rate(kept),
        "accepted_p99_ms": kept["p99_ms"],
        "handed_over": rate(went),
        "new_meanwhile": rate(new),
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
    if (left := _messages(machine)) or figures["rows"] < twins.accepted:
        raise BenchError(
            f"billing-app stored {figures['rows']} of {twins.accepted} accepted orders; "
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


def _post_orders(twins: Twins, seconds: int, *, connections: int = IN_FLIGHT) -> Any:
    figures = wrk(twins, f"{GATEWAY}/api/billing", seconds, connections=connections, script="post_order")
    twins.accepted += figures["requests"]
    return figures


def _signal(machine: Machine, container: str, signal: str) -> None:
    """Send a signal to all processes of a container. `docker pause` does not succeed everywhere."""
    _, *process_ids = machine.docker("top", container, "-eo", "pid").split()
    machine.run("kill", f"-{signal}", *process_ids)


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
