"""A token in front of everything that changes something: `API_TOKEN` in `.env`. Without one, all is open.

The token is presented as RFC 6750, section 2.1 says: `Authorization: Bearer TOKEN`. Its file is read
again at each such request, so that a new token counts at once, for every worker.
"""

from __future__ import annotations

import hmac
import logging
from http import HTTPStatus
from typing import Final

from flask import Flask, request

from platform_common.problems import Problem
from platform_common.settings import SecretFile, SettingsError

# RFC 9110, section 9.2.1, without TRACE, which no route answers.
_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_RETRY_SECONDS: Final = 5
_logger = logging.getLogger(__name__)


def init_token(app: Flask, token: SecretFile) -> None:
    """Refuse what would change something with 401, unless it brings the token; reading stays open.

    What is no route (404) or takes no such method (405) is answered so with and without a token. All
    of this happens before a body, which the front has received, is looked at.

    Args:
        app: the gateway.
        token: the file that holds the token; an empty one opens everything.
    """

    @app.before_request
    def check_token() -> None:
        changes = request.method not in _READING_METHODS and request.routing_exception is None
        if not changes and "HTTP_AUTHORIZATION" not in request.environ:
            return
        expected = _read(token)
        if not expected:
            return
        given = request.authorization
        # It was for the gateway: no app behind it gets to know the token.
        request.environ.pop("HTTP_AUTHORIZATION", None)
        if not changes:
            return
        if given is None or given.type != "bearer" or not given.token:
            raise _unauthorized(
                "Send the header Authorization: Bearer TOKEN, with API_TOKEN of .env as TOKEN."
            )
        if not hmac.compare_digest(given.token.encode(), expected.encode()):
            raise _unauthorized("This token is not the right one: send API_TOKEN of .env.")


def _read(token: SecretFile) -> str:
    """Return the token; where it cannot be read nothing is let through."""
    try:
        return token.read(may_be_empty=True)
    except SettingsError as error:
        _logger.error("No request can be let through: %s", error)
        raise Problem(
            503,
            HTTPStatus.SERVICE_UNAVAILABLE.phrase,
            f"The token cannot be checked at the moment. Try again in {_RETRY_SECONDS} seconds.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from error


def _unauthorized(detail: str) -> Problem:
    return Problem(401, HTTPStatus.UNAUTHORIZED.phrase, detail, headers={"WWW-Authenticate": "Bearer"})
