"""What the consumer shows of itself to the HTTP workers: memory that the processes share."""

from __future__ import annotations

import enum
import mmap
from collections.abc import Mapping
from typing import Any

from platform_common.health import NO_CONNECTION
from platform_common.heartbeat import Heartbeat


class Phase(enum.IntEnum):
    """What the consumer is about."""

    STARTING = 0
    CONNECTING = 1
    CONSUMING = 2
    HOLDING = 3


class ConsumerState:
    """The consumer's heartbeat and phase. Made before the fork."""

    def __init__(self) -> None:
        self.heartbeat = Heartbeat()
        self._memory = mmap.mmap(-1, 1)

    @property
    def phase(self) -> Phase:
        """What the consumer is about at the moment."""
        return Phase(self._memory[0])

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._memory[0] = phase

    def check_consumer(self, stuck_seconds: float) -> Mapping[str, Any]:
        """The health check of the consumer: has it done its round in the last `stuck_seconds`?"""
        age = self.heartbeat.age()
        if age is None:
            return {"status": "down", "reason": "it has not started"}
        status = "up" if age < stuck_seconds else "down"
        return {"status": status, "phase": self.phase.name.lower(), "last_round_seconds": round(age, 1)}

    def check_broker(self) -> Mapping[str, Any]:
        """The health check of the broker: is the consumer registered at its queue?"""
        if self.phase in {Phase.CONSUMING, Phase.HOLDING}:
            return {"status": "up"}
        return {"status": "down", "reason": NO_CONNECTION}
