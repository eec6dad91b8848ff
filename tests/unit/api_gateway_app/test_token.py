from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_upstream import FaultyUpstream
from gateway_process import Answer, Gateway, StartGateway, Topology

ORDER = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
TOKEN = "the-token-of-these-tests"
OTHER_TOKEN = "another-token-of-these-tests"

CHANGES = [
    ("POST", "/api/billing"),
    ("POST", "/api/billing/"),
    ("POST", "/api/movies"),
    ("DELETE", "/api/movies"),
    ("PUT", "/api/movies/1"),
    ("DELETE", "/api/movies/1/"),
    ("PATCH", "/api/movies/1"),
    ("TRACE", "/api/movies"),
    ("post", "/api/movies"),
    ("BREW", "/api/movies"),
]
READS = [
    ("GET", "/api/movies"),
    ("HEAD", "/api/movies"),
    ("OPTIONS", "/api/movies"),
    ("GET", "/api/movies/1"),
    ("OPTIONS", "/api/billing"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/health/live"),
]
NOT_THE_TOKEN = [
    None,
    "",
    "Bearer",
    "Bearer ",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN.upper()}",
    f"Bearer {TOKEN}, Bearer {TOKEN}",
    "Bearer t\u00f6ken",
    f"Basic {TOKEN}",
    f"Token {TOKEN}",
    TOKEN,
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def is_refused(answer: Answer) -> bool:
    """Say whether it is the 401 of a missing token, in every detail."""
    if answer.status != 401:
        return False
    assert answer.header("WWW-Authenticate") == "Bearer"
    assert answer.header("Content-Type") == "application/problem+json"
    assert "API_TOKEN" in answer.json()["detail"]
    return True


@pytest.fixture
def closed(start_gateway: StartGateway, upstream: FaultyUpstream) -> Gateway:
    """A gateway that was told a token, in front of an upstream that says what it was sent."""
    gateway = start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=upstream.url)
    gateway.token_file.write_text(f"{TOKEN}\n")
    return gateway


@pytest.fixture
def opened(start_gateway: StartGateway, upstream: FaultyUpstream) -> Gateway:
    """A gateway without a token."""
    return start_gateway(WORKERS="1", INVENTORY_SERVICE_URL=upstream.url)
