"""The Flask application that all three apps start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from platform_common.draining import is_draining
from platform_common.health import CHECK_SECONDS, Check, Verdict, make_health_blueprint
from platform_common.metrics import init_metrics
from platform_common.problems import init_problems
from platform_common.request_context import init_request_context
from platform_common.settings import BaseSettings

MAXIMUM_BODY_BYTES: Final = 128 * 1024


class _JSONProvider(DefaultJSONProvider):
    """JSON as a reader wants it: keys in our order, letters as they are, no white space."""

    sort_keys = False
    ensure_ascii = False
    compact = True


def make_app(
    import_name: str,
    *,
    settings: BaseSettings,
    checks: Mapping[str, Check],
    verdict: Verdict | None = None,
    check_seconds: float = CHECK_SECONDS,
) -> Flask:
    """Return a Flask app with request ids, problem documents, metrics and health routes.

    Every route added to it is the same with and without a trailing slash, and bodies over 128 KiB
    are refused with 413.

    Args:
        import_name: the package of the app, as Flask wants it.
        settings: what the app was told.
        checks: the dependencies' checks, see `health.make_health_blueprint`.
        verdict: how to judge them, see there.
        check_seconds: how long /health/ready waits for them.
    """
    app = Flask(import_name, static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY_BYTES
    app.json = _JSONProvider(app)

    # Flask runs after_request functions in reverse: the request's context is set up first and
    # ends last, so that the log line and the id cover what the others do.
    init_request_context(app)
    init_metrics(app, settings.service_name)
    init_problems(app)
    app.register_blueprint(make_health_blueprint(checks, verdict, check_seconds=check_seconds))

    @app.after_request
    def declare_no_type_of_an_empty_answer(response: Response) -> Response:
        # Flask's own answer to OPTIONS is an empty page of HTML.
        if request.method == "OPTIONS" and response.status_code == 200:
            response.headers.pop("Content-Type", None)
        return response

    @app.after_request
    def announce_the_end_of_the_connection(response: Response) -> Response:
        # While draining, so that the client's next request goes elsewhere; and where the server will
        # not read the rest of a body that is too large.
        if is_draining() or response.status_code == 413:
            response.headers["Connection"] = "close"
        return response

    return app
