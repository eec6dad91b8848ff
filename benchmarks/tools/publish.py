"""Publish with confirms as one pika client does it, a fixed number in flight; print the rate as JSON.

Usage: publish.py USER PASSWORD QUEUE SECONDS IN_FLIGHT
"""

import json
import sys
import time
from typing import Any

from pika import BasicProperties, ConnectionParameters, PlainCredentials, SelectConnection

user, password, queue, seconds, window = (*sys.argv[1:4], float(sys.argv[4]), int(sys.argv[5]))
BODY = json.dumps(
    {"order_id": "x" * 36, "user_id": "20", "number_of_items": 99, "total_amount": "250.00"}
).encode()
PROPERTIES = BasicProperties(content_type="application/json", delivery_mode=2)
confirmed = sent = 0
began = 0.0


def on_open(connection: SelectConnection) -> None:
    """Make the queue, then publish."""

    def publish(channel: Any, number: int) -> None:
        global sent
        sent += number
        for _ in range(number):
            channel.basic_publish("", queue, BODY, PROPERTIES, mandatory=True)

    def on_confirm(channel: Any, frame: Any) -> None:
        global confirmed
        before, confirmed = confirmed, frame.method.delivery_tag if frame.method.multiple else confirmed + 1
        if time.monotonic() - began >= seconds:
            connection.close()
        else:
            publish(channel, max(0, confirmed - before))

    def on_channel(channel: Any) -> None:
        def start(_: Any) -> None:
            global began
            began = time.monotonic()
            publish(channel, window)

        arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
        channel.queue_declare(
            queue,
            durable=True,
            arguments=arguments,
            callback=lambda _: channel.confirm_delivery(
                lambda frame: on_confirm(channel, frame), callback=start
            ),
        )

    connection.channel(on_open_callback=on_channel)


parameters = ConnectionParameters("rabbitmq", credentials=PlainCredentials(user, password))
connection = SelectConnection(
    parameters, on_open_callback=on_open, on_close_callback=lambda each, _: each.ioloop.stop()
)
connection.ioloop.start()
print("RESULT", json.dumps({"requests": confirmed, "seconds": time.monotonic() - began}))
