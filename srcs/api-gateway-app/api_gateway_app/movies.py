"""/api/movies…: passed to inventory-app as it comes."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import Rule

from api_gateway_app.upstream.relay import Upstream


def make_movies_blueprint(inventory: Upstream) -> Blueprint:
    """Return the routes below /api/movies, for every method: inventory-app knows which it allows."""
    blueprint = Blueprint("movies", __name__)

    @blueprint.record
    def add_routes(state: BlueprintSetupState) -> None:
        # Flask's own way to add a route wants a list of methods and answers OPTIONS by itself.
        for path in ("/api/movies", "/api/movies/<path:rest>"):
            state.app.url_map.add(Rule(path, endpoint="movies.pass_through"))
        state.app.view_functions["movies.pass_through"] = pass_through

    def pass_through(rest: str = "") -> Response:
        if _could_climb(rest):
            abort(404)
        return inventory.pass_through(request)

    return blueprint


def _could_climb(rest: str) -> bool:
    """Say whether a path, which the server has decoded, has a segment that leads out of /api/movies."""
    return any(segment in {".", ".."} for segment in rest.split("/"))
