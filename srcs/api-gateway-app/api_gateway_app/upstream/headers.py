"""Which headers pass and which stop here (RFC 9110, section 7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

# Connection and the fields that the RFC names with it; the Proxy-… fields, which are for the next
# proxy only; Trailer, because trailers are not passed on.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Made anew for the next hop: its own host, the length of the body as it is sent, and no 100-continue,
# because the body is complete before the upstream sees anything of the request.
_REQUEST_ONLY: Final = frozenset({"host", "content-length", "expect", "x-request-id"})
# The server writes its own.
_RESPONSE_ONLY: Final = frozenset({"server"})


def request_headers(environ: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the end-to-end headers of a WSGI request, without those that each hop makes anew."""
    dropped = _HOP_BY_HOP | _REQUEST_ONLY | _named_in([str(environ.get("HTTP_CONNECTION", ""))])
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").title()
        elif key == "CONTENT_TYPE" and value:
            name = "Content-Type"
        else:
            continue
        if name.lower() not in dropped:
            yield name, str(value)


def response_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the end-to-end headers of an upstream's answer, repeated ones repeated."""
    fields = list(headers)
    named = _named_in(value for name, value in fields if name.lower() == "connection")
    dropped = _HOP_BY_HOP | _RESPONSE_ONLY | named
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def _named_in(connection_values: Iterable[str]) -> frozenset[str]:
    return frozenset(
        name.strip().lower() for value in connection_values for name in value.split(",") if name.strip()
    )
