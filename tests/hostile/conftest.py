"""What the tests with hostile clients share."""

# ruff: noqa: S608 (the statements hold a title of ours)

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tests.library.api import Api
from tests.node.node import Node

# One more than a page takes, each with its share of the 192 KiB that a page may have.
MOVIES = 1001
DESCRIPTION = 130


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


# The files are called differently in cgroups of version 1 and 2, the fields of memory.stat are not.
MEMORY = """
cd /sys/fs/cgroup
if [ -f memory.max ]; then cat memory.max memory.current; else
    cd memory; cat memory.limit_in_bytes memory.usage_in_bytes
fi
grep -E '^(active|inactive)_file ' memory.stat
"""


def memory_share(node: Node) -> float:
    """Return how much of its limit the gateway's container needs, from 0 to 1.

    Files that the kernel keeps in memory are not counted: it drops them when the room is needed.
    `docker stats` does count those of them that were used more than once.
    """
    limit, used, *files = node.in_each(MEMORY, ["api-gateway-app"])["api-gateway-app"].splitlines()
    return (int(used) - sum(int(line.split()[1]) for line in files)) / int(limit)


@pytest.fixture(scope="module")
def largest_page(node: Node, env: dict[str, str]) -> Iterator[str]:
    """Puts movies into the database, past the API, and gives the address of the largest page there is."""
    title = f"hostile-{uuid.uuid4().hex[:8]}"
    user = env["POSTGRES_USER"]

    def change(query: str) -> int:
        changed = node.psql(
            "inventory-database", user, "movies", f"WITH c AS ({query}) SELECT count(*) FROM c"
        )
        return int(changed)

    assert (
        change(
            f"INSERT INTO movies (title, description) SELECT '{title} ' || n, repeat('x', {DESCRIPTION}) "
            f"FROM generate_series(1, {MOVIES}) AS n RETURNING 1"
        )
        == MOVIES
    )
    yield f"/api/movies?title={title}"
    change(f"DELETE FROM movies WHERE title LIKE '{title}%' RETURNING 1")
