"""What breaks when: all of it follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.faults.catalogue import BY_NAME, CATALOGUE, Fault

# The short form, two at a time: each kind of fault that may lose an order. A restart is a stop and a start,
# a pause is a freeze.
SHORT: Final = (
    ("kill billing-database", "kill billing-app"),
    ("stop and start rabbitmq", "kill api-gateway-app"),
    ("freeze and kill rabbitmq", "kill inventory-app"),
    ("disk full of billing-database", "cut api-gateway-app <- rabbitmq"),
    ("store full of api-gateway-app", "memory alarm of rabbitmq"),
    ("freeze billing-database", "unplug billing-app"),
)


@dataclass(frozen=True)
class Step:
    """Faults that overlap, or one.

    Attributes:
        faults: in the order in which they begin.
        gap: seconds between their beginnings.
        seconds: how long all of them last together, from the beginning of the last one.
    """

    faults: tuple[Fault, ...]
    gap: float
    seconds: float

    @property
    def name(self) -> str:
        """For people."""
        return " + ".join(fault.name for fault in self.faults)


def short_schedule(seed: int) -> Iterator[Step]:
    """Give the steps of SHORT once, in the seed's order."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for names in chance.sample(SHORT, len(SHORT)):
        yield _step(chance, tuple(BY_NAME[name] for name in names))


def long_schedule(seed: int) -> Iterator[Step]:
    """Give steps without an end: every fault of the catalogue once, then once more in another order, …

    About every other step is of two faults that overlap.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    while True:
        deck = chance.sample(CATALOGUE, len(CATALOGUE))
        while deck:
            first = deck.pop()
            partners = [
                fault for fault in deck if not (first.alone or fault.alone or first.victims & fault.victims)
            ]
            if partners and chance.random() < 0.6:
                second = chance.choice(partners)
                deck.remove(second)
                yield _step(chance, (first, second))
            else:
                yield _step(chance, (first,))


def _step(chance: random.Random, faults: tuple[Fault, ...]) -> Step:
    longest = max((fault.seconds for fault in faults), key=lambda seconds: seconds[1])
    return Step(faults, gap=chance.uniform(0, 2), seconds=chance.uniform(*longest))
