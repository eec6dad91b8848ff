"""How a machine is lost, and comes back."""

from __future__ import annotations

from typing import Final

from tests.cluster.swarm import BROKER, DATABASES, MACHINES, NETWORK, STORE, outside

# A lost primary is one for 20 s more.
LOST_SECONDS: Final = 35
ADDRESSES: Final = {machine: f"10.205.0.{number}" for number, machine in enumerate(MACHINES, start=11)}
# What docs/swarm.md says of maintenance.
EMPTY: Final = {
    "before": "docker stop {containers} && docker node update --availability drain {machine}",
    # What the network has not reached yet is started later (roles/swarm).
    "after": "docker node update --availability active {machine} && (docker start {containers} || true)",
}


def _empty(machine: str, when: str) -> None:
    command = EMPTY[when].format(machine=machine, containers=" ".join((*DATABASES, BROKER, STORE)))
    outside("exec", machine, "sh", "-c", command)


def lose(machine: str, how: str) -> None:
    """Have a machine killed, frozen, cut off from the others, restarted (stopped), or emptied."""
    if how == "emptied":
        _empty(machine, "before")
    elif how == "cut off":
        outside("network", "disconnect", NETWORK, machine)
    else:
        outside({"killed": "kill", "frozen": "pause", "restarted": "stop"}[how], machine)


def bring_back(machine: str, how: str) -> None:
    """Undo `lose`."""
    if how == "emptied":
        _empty(machine, "after")
    elif how == "cut off":
        outside("network", "connect", "--ip", ADDRESSES[machine], NETWORK, machine)
    else:
        outside({"frozen": "unpause"}.get(how, "start"), machine)
