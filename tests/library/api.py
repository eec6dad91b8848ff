"""A client of the public API, and what every answer of it has in common."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests
from tests.library.support import wait_until

TIMEOUT: Final = 30.0
PROBLEM: Final = "application/problem+json"


class Api:
    """Calls the API; follows no redirect. May be used from several threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = requests.Session()
            # A proxy of the environment is no part of the platform.
            session.trust_env = False
            self._local.session = session
        result: requests.Session = self._local.session
        return result

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send one request; `arguments` as `requests.request` takes them."""
        arguments = {"timeout": TIMEOUT, "allow_redirects": False} | arguments
        return self._session.request(method, self.url + path, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("GET", path, **arguments)

    def post(self, path: str, body: Any, **arguments: Any) -> requests.Response:
        """POST a JSON document."""
        return self.call("POST", path, json=body, **arguments)

    def put(self, path: str, body: Any, **arguments: Any) -> requests.Response:
        """PUT a JSON document."""
        return self.call("PUT", path, json=body, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("DELETE", path, **arguments)

    def send_text(self, method: str, path: str, text: str | bytes) -> requests.Response:
        """Send a body as it is, declared as JSON."""
        body = text.encode() if isinstance(text, str) else text
        return self.call(method, path, data=body, headers={"Content-Type": "application/json"})

    def movie_pages(self, path: str = "/api/movies") -> Iterator[list[dict[str, Any]]]:
        """Yield the movies of each page, from `path` on, as `next` leads."""
        while path:
            response = self.get(path)
            assert response.status_code == 200, response.text
            page = response.json()
            assert page.keys() <= {"movies", "next"}
            yield page["movies"]
            path = page.get("next", "")

    def movies(self, path: str = "/api/movies") -> list[dict[str, Any]]:
        """Return the movies of all pages."""
        return [movie for page in self.movie_pages(path) for movie in page]

    def order(self, body: Mapping[str, Any], key: str | None = None) -> str:
        """Post an order that must be accepted, and give its id."""
        response = self.post("/api/billing", body, headers={"Idempotency-Key": key} if key else {})
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer.keys() == {"message", "order_id"}
        assert answer["message"] == "Message posted"
        order_id: str = answer["order_id"]
        assert str(uuid.UUID(order_id)) == order_id
        return order_id

    def stored_order(self, order_id: str, *, seconds: float = 30) -> dict[str, Any]:
        """Wait until an order is stored, and give it."""
        seen: list[str] = []

        def find() -> dict[str, Any] | None:
            response = self.get(f"/api/billing/{order_id}")
            seen.append(f"{response.status_code} {response.text}")
            return dict(response.json()) if response.status_code == 200 else None

        return wait_until(find, f"order {order_id} is stored", seconds=seconds, explain=lambda: seen[-1])


def assert_problem(response: requests.Response, status: int, *mentions: str) -> dict[str, Any]:
    """Check that an answer is a problem document (RFC 9457) that a caller can use.

    Args:
        response: the answer.
        status: its expected status.
        mentions: what `detail` must name, such as the field that is wrong.
    """
    assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
    assert response.headers["Content-Type"].split(";")[0] == PROBLEM
    assert response.headers["X-Request-ID"]
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == status
    assert problem["title"]
    detail = problem["detail"]
    assert detail.endswith("."), f"no sentence: {detail!r}"
    assert "Traceback" not in response.text
    assert 'File "' not in response.text
    for mention in mentions:
        assert mention in detail, f"{mention!r} is not named in {detail!r}"
    return problem
