"""What the tests with hostile clients share."""

# ruff: noqa: S608 (the statements hold a title of ours)

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from tests.api import Api
from tests.node.conftest import node
from tests.node.node import Node

__all__ = ["node"]

MOVIES = 100_000


@pytest.fixture(autouse=True)
def gateway_survives(node: Node, api: Api) -> Iterator[None]:
    """Fails a test after which the gateway has restarted or is ill."""

    def state() -> tuple[str, int, bool]:
        container = node.inspect("api-gateway-app")["api-gateway-app"]
        status = container["State"]
        return status["StartedAt"], container["RestartCount"], status["OOMKilled"]

    before = state()
    yield
    assert state() == before
    assert api.get("/health/ready").status_code == 200


def memory_share(node: Node) -> float:
    """Return how much of its limit the gateway's container uses, from 0 to 1."""
    stats = json.loads(node.run("docker stats --no-stream --format '{{json .}}' api-gateway-app"))
    return float(stats["MemPerc"].rstrip("%")) / 100


@pytest.fixture(scope="module")
def long_list(node: Node, env: dict[str, str]) -> Iterator[str]:
    """Puts 10^5 movies into the database, past the API, and gives a title that they alone contain."""
    title = f"hostile-{uuid.uuid4().hex[:8]}"
    user = env["POSTGRES_USER"]

    def change(query: str) -> int:
        changed = node.psql(
            "inventory-database", user, "movies", f"WITH c AS ({query}) SELECT count(*) FROM c"
        )
        return int(changed)

    assert (
        change(
            f"INSERT INTO movies (title, description) SELECT '{title} ' || n, repeat('x', 60) "
            f"FROM generate_series(1, {MOVIES}) AS n RETURNING 1"
        )
        == MOVIES
    )
    yield title
    change(f"DELETE FROM movies WHERE title LIKE '{title}%' RETURNING 1")
