"""Errors as problem documents (RFC 9457), whatever goes wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from platform_common.request_context import request_id_var

PROBLEM_TYPE: Final = "application/problem+json"
_logger = logging.getLogger(__name__)


class Problem(Exception):
    """An error that the caller is told about.

    Args:
        status: HTTP status code.
        title: the kind of problem, the same for each occurrence.
        detail: a sentence that tells this caller what to change.
        headers: further headers of the answer, such as Retry-After.
        extensions: further members of the document.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions


def problem_response(problem: Problem) -> Response:
    """Return `problem` as an answer to the current request."""
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.path,
        "request_id": request_id_var.get(),
        **problem.extensions,
    }
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, problem.status, headers=problem.headers, content_type=PROBLEM_TYPE)


def init_problems(app: Flask) -> None:
    """Answer every error of `app` with a problem document; an unexpected one is logged, not shown."""

    @app.errorhandler(Problem)
    def handle_problem(problem: Problem) -> Response:
        return problem_response(problem)

    @app.errorhandler(HTTPException)
    def handle_http_exception(error: HTTPException) -> Response:
        if error.response is not None or error.code is None or error.code < 400:
            # A redirect, or an answer that was made on purpose.
            return Response.force_type(error.get_response(request.environ))  # type: ignore[return-value]
        headers = {
            name: value
            for name, value in error.get_headers(request.environ)
            if name.lower() not in {"content-type", "content-length"}
        }
        return problem_response(
            Problem(error.code, HTTPStatus(error.code).phrase, _explain(error), headers=headers)
        )

    @app.errorhandler(Exception)
    def handle_unexpected(error: Exception) -> Response:
        _logger.error("%s %s failed", request.method, request.path, exc_info=error)
        return problem_response(
            Problem(
                500,
                HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
                "Something went wrong on our side. Try again; if it stays, report the request_id.",
            )
        )


def _explain(error: HTTPException) -> str:
    """Say what to change, where the exception's own words do not."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return f"{request.method} is not possible here. Use one of: {allowed}."
    if isinstance(error, RequestEntityTooLarge):
        limit = request.max_content_length
        return f"The body is too large. Send at most {limit:,} bytes." if limit else "The body is too large."
    if error.code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {request.path}. See /openapi.json for what there is."
    return error.description or f"{HTTPStatus(error.code or 500).phrase}."
