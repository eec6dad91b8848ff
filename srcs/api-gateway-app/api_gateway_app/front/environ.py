"""The WSGI environment of a complete request (PEP 3333)."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

REFUSAL: Final = "api_gateway_app.refusal"
"""Key of the environment: the problem to answer with, whatever the request is."""

# They were about the way of the body to here, which it has behind it.
_DONE_WITH: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})


def make_environ(scope: Mapping[str, Any], body: bytes | None) -> dict[str, Any]:
    """Return the environment for an ASGI HTTP `scope` and its `body` (None where it has none)."""
    path: bytes = scope["raw_path"]
    server = scope["server"]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "REMOTE_PORT": str(scope["client"][1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    if body is not None:
        environ["CONTENT_LENGTH"] = str(len(body))
    _add_headers(environ, scope["headers"])
    return environ


def _add_headers(environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        # X_Request_ID would be taken for X-Request-ID, which has been checked.
        if name in _DONE_WITH or b"_" in name:
            continue
        text = value.decode("latin-1")
        if name == b"content-type":
            environ["CONTENT_TYPE"] = text
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        if key in environ:
            text = environ[key] + ("; " if name == b"cookie" else ", ") + text
        environ[key] = text
