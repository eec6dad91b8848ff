"""The consumer as a process of its own beside the HTTP workers.

A process, not a thread: a crash or a hang of either side is seen and ended without guessing, and
neither takes the other's time. It is forked from the same parent, so it costs little memory.
"""

from __future__ import annotations

import signal
from functools import partial
from typing import Final

from billing_app.consumer import Consumer
from billing_app.dead_letters import DeadLetters
from billing_app.properties import tolerate_unreadable_headers
from billing_app.repository import Orders
from billing_app.settings import Settings
from billing_app.state import ConsumerState
from platform_common.database import make_engine
from platform_common.server import ChildProcess

# Imported before the fork, so that the workers see what the consumer writes.
consumer_state: Final = ConsumerState()


def make_consumer_process(settings: Settings) -> ChildProcess:
    """Return the description of the process, for `platform_common.server.serve`."""
    return ChildProcess("consumer", partial(_consume, settings), consumer_state.heartbeat)


def _consume(settings: Settings) -> None:
    tolerate_unreadable_headers()
    engine = make_engine(
        settings.database,
        f"{settings.base.service_name} consumer",
        pool_size=1,
        isolation_level="READ COMMITTED",
    )
    consumer = Consumer(settings, Orders(engine), DeadLetters(settings.broker), consumer_state)
    signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
    consumer.run()
