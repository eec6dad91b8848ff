"""The API's description: /openapi.json, /docs, a page to read and try it, and a Postman collection.

The page is Swagger UI from the PyPI package flask-swagger-ui: only its files are used, served from
here. The Content-Security-Policy lets the page load from, and talk to, this site only.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from flask import Blueprint, Response, abort, redirect, request, send_from_directory
from werkzeug.wrappers import Response as WerkzeugResponse

OPENAPI_FILE: Final = Path(__file__).parent.parent / "openapi.yaml"
# Made of it by tests/openapi/postman.py.
_POSTMAN_FILE: Final = OPENAPI_FILE.with_name("postman.json")
_ASSETS: Final = Path(str(files("flask_swagger_ui"))) / "dist"
_SERVED: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_DAY_SECONDS: Final = 24 * 60 * 60

# Swagger UI sets style attributes and draws its icons from data: addresses.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>play-with-containers: the API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<noscript>This page needs JavaScript; the description itself is <a href="/openapi.json">here</a>.</noscript>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


def load_openapi(path: Path = OPENAPI_FILE) -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def make_docs_blueprint(*, is_home: bool) -> Blueprint:
    """Return the routes /openapi.json and /docs, and / if nothing else is there."""
    blueprint = Blueprint("docs", __name__)
    openapi = json.dumps(load_openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    if is_home:

        @blueprint.get("/")
        def home() -> WerkzeugResponse:
            return redirect("/docs", 302)

    @blueprint.get("/openapi.json")
    def openapi_json() -> Response:
        response = Response(openapi, content_type="application/json")
        response.add_etag()
        response.make_conditional(request)
        return response

    @blueprint.get("/docs")
    def page() -> Response:
        response = Response(_PAGE, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @blueprint.get("/docs/start.js")
    def start() -> Response:
        return _as_asset(Response(_START, content_type="text/javascript; charset=utf-8"))

    @blueprint.get("/docs/postman.json")
    def postman() -> Response:
        name = "play-with-containers.postman_collection.json"
        return _as_asset(
            send_from_directory(
                _POSTMAN_FILE.parent, _POSTMAN_FILE.name, as_attachment=True, download_name=name
            )
        )

    @blueprint.get("/docs/<name>")
    def asset(name: str) -> Response:
        if name not in _SERVED:
            abort(404)
        return _as_asset(send_from_directory(_ASSETS, name, max_age=_DAY_SECONDS))

    return blueprint


def _as_asset(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
