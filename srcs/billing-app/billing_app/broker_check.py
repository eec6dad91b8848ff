"""How a candidate, which does not consume, checks the broker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pika
from pika.exceptions import AMQPError

from platform_common.broker import BrokerSettings
from platform_common.health import NO_CONNECTION

_logger = logging.getLogger(__name__)


def check_broker(settings: BrokerSettings) -> Mapping[str, Any]:
    """Log in at the broker and look whether the queue and the dead-letter exchange are there."""
    parameters = settings.connection_parameters("health check", connect_seconds=2)
    try:
        connection = pika.BlockingConnection(parameters)
    except (AMQPError, OSError) as error:
        _logger.warning("no connection to the broker: %r", error)
        return {"status": "down", "reason": NO_CONNECTION}
    try:
        channel = connection.channel()
        channel.queue_declare(settings.queue, passive=True)
        channel.exchange_declare(settings.dead_letter_exchange, passive=True)
    except AMQPError as error:
        _logger.warning("the broker lacks something: %r", error)
        return {"status": "down", "reason": "its queue or exchange is missing"}
    finally:
        if connection.is_open:
            connection.close()
    return {"status": "up"}
