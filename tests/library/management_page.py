"""A client of the broker's management page."""

from __future__ import annotations

import base64
from typing import Any

import requests


class ManagementPage:
    """The management page's API (https://www.rabbitmq.com/docs/management#http-api)."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = f"{url}/api"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (user, password)

    def put_in(self, queue: str, payload: str | bytes, **properties: Any) -> None:
        """Publish as the page's form does: through the default exchange, to one queue."""
        response = self.session.post(
            f"{self.url}/exchanges/%2F/amq.default/publish",
            json={
                "routing_key": queue,
                "payload": base64.b64encode(
                    payload.encode() if isinstance(payload, str) else payload
                ).decode(),
                "payload_encoding": "base64",
                "properties": properties,
            },
            timeout=30,
        )
        assert response.status_code == 200, response.text
        assert response.json() == {"routed": True}

    def messages(self, queue: str) -> int | None:
        """How many messages are in a queue or in a consumer's hands, some seconds ago.

        None while a broker that has just started has not counted yet.
        """
        response = self.session.get(f"{self.url}/queues/%2F/{queue}", timeout=30)
        assert response.status_code == 200, response.text
        count: int | None = response.json().get("messages")
        return count

    def look_at(self, queue: str) -> list[dict[str, Any]]:
        """Read messages and put them back."""
        response = self.session.post(
            f"{self.url}/queues/%2F/{queue}/get",
            json={"count": 1000, "ackmode": "ack_requeue_true", "encoding": "auto"},
            timeout=30,
        )
        assert response.status_code == 200, response.text
        messages: list[dict[str, Any]] = response.json()
        return messages

    def empty(self, queue: str) -> None:
        response = self.session.delete(f"{self.url}/queues/%2F/{queue}/contents", timeout=30)
        assert response.status_code == 204, response.text
