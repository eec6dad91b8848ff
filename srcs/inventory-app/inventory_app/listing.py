"""The list of movies as JSON, of any length, in bounded memory.

The catalogue is read in batches by ascending id, each in a statement of its own, so that a slow
client holds no database connection. A short list is sent in one piece. A longer one is sent while
it is read, and needs a Content-Length that is known before: then, and only then, does an answer
that breaks off half-way look broken to everybody on its way. PostgreSQL computes the length of
what there is now; rows that change meanwhile can make it longer or shorter, so some room is
added, and what stays free is filled with white space after the JSON document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final
from urllib.parse import urlencode

from inventory_app.repository import Extent, Movies

BATCH_ROWS: Final = 200
ONE_PIECE_BYTES: Final = 512 * 1024
ROOM_BYTES: Final = 64 * 1024
ROOM_SHARE: Final = 20  # and a twentieth of the length

_HEAD: Final = b'{"movies":['
_EMPTY_ROW_BYTES: Final = len('{"id":,"title":,"description":},')


class ListOutgrown(Exception):
    """Movies grew so much while they were listed that the announced length does not hold them."""


@dataclass(frozen=True)
class Query:
    """Which movies are asked for; `limit` None means all."""

    title: str | None = None
    after: int = 0
    limit: int | None = None

    def next_url(self, last_id: int) -> str:
        """Return the relative URL of the page that begins after `last_id`."""
        parameters: dict[str, str | int] = {}
        if self.title is not None:
            parameters["title"] = self.title
        parameters |= {"limit": self.limit or 0, "after": last_id}
        return f"/api/movies?{urlencode(parameters)}"


@dataclass(frozen=True)
class Listing:
    """An answer's body, whole or in parts, and its length in bytes."""

    length: int
    body: bytes | Iterator[bytes]


def make_listing(movies: Movies, query: Query) -> Listing:
    """Return the body that answers `query`; of a long one only the beginning has been read yet."""
    reader = _Reader(movies, query)
    stream = reader.parts()
    beginning: list[bytes] = []
    size = 0
    for part in stream:
        beginning.append(part)
        size += len(part)
        if size > ONE_PIECE_BYTES:
            break
    else:
        return Listing(size, b"".join(beginning))
    extent = movies.extent(after=query.after, title=query.title, limit=query.limit)
    if query.limit is None:
        # Movies that are added from now on are not part of this list.
        reader.up_to = extent.last_id
    length = _announced_length(extent, query, already_read=size)
    return Listing(length, _fill(chain(beginning, stream), length))


class _Reader:
    """Reads batch after batch and makes JSON of it."""

    def __init__(self, movies: Movies, query: Query) -> None:
        self._movies = movies
        self._query = query
        self.up_to: int | None = None

    def parts(self) -> Iterator[bytes]:
        """Yield the document, one batch at a time."""
        query = self._query
        last_id, count, more = query.after, 0, True
        yield _HEAD
        while more and count != query.limit:
            wanted = BATCH_ROWS if query.limit is None else min(BATCH_ROWS, query.limit - count)
            # One more than wanted tells whether there is more.
            rows = self._movies.batch(after=last_id, limit=wanted + 1, title=query.title, up_to=self.up_to)
            more = len(rows) > wanted
            if rows:
                text = ",".join(_dump(row.as_dict()) for row in rows[:wanted])
                yield (f",{text}" if count else text).encode()
                count += len(rows[:wanted])
                last_id = rows[:wanted][-1].id
        yield b"]"
        if more:
            yield f',"next":{_dump(query.next_url(last_id))}'.encode()
        yield b"}"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _announced_length(extent: Extent, query: Query, *, already_read: int) -> int:
    document = len(_HEAD) + extent.value_bytes + extent.rows * _EMPTY_ROW_BYTES + len("]}")
    if query.limit is not None:
        document += len(f',"next":"{query.next_url(2**63 - 1)}"')
    document = max(document, already_read)
    return document + ROOM_BYTES + document // ROOM_SHARE


def _fill(parts: Iterable[bytes], length: int) -> Iterator[bytes]:
    """Yield `parts`, then white space up to exactly `length` bytes.

    Raises:
        ListOutgrown: `parts` is longer than that.
    """
    sent = 0
    for part in parts:
        sent += len(part)
        if sent > length:
            raise ListOutgrown(f"the list has outgrown the {length} bytes announced for it")
        yield part
    while sent < length:
        filling = b" " * min(length - sent, 65536)
        sent += len(filling)
        yield filling
