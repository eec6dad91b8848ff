"""Publishes many orders quickly, as the gateway does, with its account and its settings.

Runs inside the gateway's container, with its Python: `python flood.py RUN ORDERS`. Prints one JSON
document: how many orders the broker confirmed, and how often and how long it blocked us.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final

import pika

IN_FLIGHT: Final = 1000


def command(run: str, orders: int) -> str:
    """Return the shell command for the node that publishes orders from the gateway's container."""
    script = base64.b64encode(Path(__file__).read_bytes()).decode()
    return f"echo {script} | base64 -d | docker exec -i api-gateway-app python - {run} {orders}"


class Flood:
    """One connection, one channel, confirms, and never more than IN_FLIGHT without one."""

    def __init__(self, run: str, orders: int) -> None:
        self._run = run
        self._orders = orders
        self._sent = 0
        self._settled = 0
        self._refused = 0
        self._blocked_since = 0.0
        self._blocks: list[float] = []

    def publish(self) -> dict[str, Any]:
        """Publish all, and return the figures."""
        password = Path("/run/secrets/rabbitmq_password").read_text().strip()
        started = time.monotonic()
        connection = pika.SelectConnection(
            pika.ConnectionParameters(
                host=os.environ["RABBITMQ_HOST"],
                credentials=pika.PlainCredentials(os.environ["RABBITMQ_USER"], password),
            ),
            on_open_callback=self._on_open,
            on_close_callback=lambda connection, _: connection.ioloop.stop(),
        )
        connection.ioloop.start()
        return {
            "confirmed": self._settled - self._refused,
            "refused": self._refused,
            "seconds": round(time.monotonic() - started),
            "blocked": len(self._blocks),
            "blocked_seconds": round(sum(self._blocks)),
        }

    def _on_open(self, connection: pika.SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._note_block())
        connection.add_on_connection_unblocked_callback(lambda *_: self._note_end_of_block())
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.confirm_delivery(
            lambda frame: self._on_confirm(channel, frame.method), callback=lambda _: self._fill(channel)
        )

    def _on_confirm(self, channel: Any, method: Any) -> None:
        settled = method.delivery_tag - self._settled if method.multiple else 1
        self._settled += settled
        if isinstance(method, pika.spec.Basic.Nack):
            self._refused += settled
        if self._settled == self._orders:
            channel.connection.close()
        else:
            self._fill(channel)

    def _fill(self, channel: Any) -> None:
        while self._sent < self._orders and self._sent - self._settled < IN_FLIGHT:
            order_id = str(uuid.uuid4())
            body = {
                "order_id": order_id,
                "user_id": f"{self._run}-{self._sent}",
                "number_of_items": self._sent % 1000 + 1,
                "total_amount": "4.35",
            }
            properties = pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=order_id,
                headers={"X-Request-ID": order_id},
            )
            exchange, key = os.environ["BILLING_EXCHANGE"], os.environ["BILLING_ROUTING_KEY"]
            channel.basic_publish(exchange, key, json.dumps(body).encode(), properties, mandatory=True)
            self._sent += 1

    def _note_block(self) -> None:
        self._blocked_since = time.monotonic()

    def _note_end_of_block(self) -> None:
        self._blocks.append(time.monotonic() - self._blocked_since)


if __name__ == "__main__":
    print(json.dumps(Flood(sys.argv[1], int(sys.argv[2])).publish()))
