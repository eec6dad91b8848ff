"""The routes of the page. Its feed is served elsewhere: the proxy leads /feed there (page/feed.py)."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, request

from api_gateway_app.page.files import PageFile, PageFiles

_FOR_EVER: Final = f"max-age={365 * 24 * 60 * 60}, immutable"
# Everything comes from here, nothing is written into the document as markup, and no other site may show it.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def make_page_blueprint() -> Blueprint:
    """Return the routes /, /page/VERSION/FILE and, for all but GET, /feed."""
    blueprint = Blueprint("page", __name__)
    files = PageFiles()

    @blueprint.get("/")
    def home() -> Response:
        response = _answer(files.home)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache"
        return _unless_known(response)

    @blueprint.get("/page/<version>/<path:name>")
    def file(version: str, name: str) -> Response:
        found = files.get(name)
        if found is None:
            abort(404)
        response = _answer(found)
        # A page from before an update may still ask: it gets what there is now, for once.
        response.headers["Cache-Control"] = _FOR_EVER if version == files.version else "no-store"
        return _unless_known(response)

    @blueprint.get("/feed")
    def feed() -> Response:
        # For HEAD only.
        return Response(content_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return blueprint


def _unless_known(response: Response) -> Response:
    """Return the answer, or 304 for a browser that has it."""
    response.add_etag()
    response.make_conditional(request)
    return response


def _answer(file: PageFile) -> Response:
    is_compressed = request.accept_encodings.quality("gzip") > 0
    response = Response(
        file.compressed if is_compressed else file.content,
        content_type=file.media_type,
        headers={"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"},
    )
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    return response
