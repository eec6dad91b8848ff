"""The routes /api/movies and /api/movies/ID."""

from __future__ import annotations

import re
import threading
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from inventory_app.listing import Query, make_listing
from inventory_app.repository import Movie, Movies
from platform_common.problems import Problem
from platform_common.validation import (
    check_text,
    invalid_field,
    read_json_object,
    refuse_unknown_parameters,
    validate,
)

MAXIMUM_ID: Final = 2**63 - 1
MAXIMUM_PAGE: Final = 1000
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,30}", re.ASCII)

Title = Annotated[str, Field(min_length=1, max_length=255)]
Description = Annotated[str, Field(max_length=10_000)]


class _Titled(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @field_validator("title", check_fields=False)
    @classmethod
    def _refuse_blank(cls, title: str) -> str:
        if not title.strip():
            raise ValueError("must not be blank.")
        return title


class NewMovie(_Titled):
    """The body of POST."""

    title: Title
    description: Description = ""


class MovieChange(_Titled):
    """The body of PUT: what is left out stays as it is. Null is no value for either."""

    title: Title = "unchanged"
    description: Description = ""


def make_movies_blueprint(movies: Movies, *, streams: int) -> Blueprint:
    """Return the routes.

    Args:
        movies: where they are stored.
        streams: how many long lists are sent at once by this process; each holds a thread, and
            the others must stay free for short work.
    """
    blueprint = Blueprint("movies", __name__, url_prefix="/api/movies")
    free_streams = threading.BoundedSemaphore(streams)

    @blueprint.get("")
    def list_movies() -> Response:
        query = _read_query()
        listing = make_listing(movies, query)
        if isinstance(listing.body, bytes):
            return Response(listing.body, mimetype="application/json")
        if request.method == "HEAD":
            # The length that GET would have (RFC 9110, 8.6), without the list.
            head = Response(mimetype="application/json")
            head.content_length = listing.length
            return head
        if not free_streams.acquire(blocking=False):
            raise Problem(
                503,
                "Service Unavailable",
                "Too many long lists are being sent at the moment. Try again later, or ask for pages.",
                headers={"Retry-After": "5"},
            )
        response = Response(listing.body, mimetype="application/json")
        response.call_on_close(free_streams.release)
        response.content_length = listing.length
        return response

    @blueprint.post("")
    def add_movie() -> Response:
        _take_no_parameters()
        new = validate(NewMovie, read_json_object(request))
        movie = movies.add(new.title, new.description)
        response = jsonify(movie.as_dict())
        response.headers["Location"] = f"/api/movies/{movie.id}"
        response.autocorrect_location_header = False
        return response

    @blueprint.delete("")
    def remove_all_movies() -> Response:
        _take_no_parameters()
        return jsonify(deleted=movies.remove_all())

    @blueprint.get("/<movie_id>")
    def get_movie(movie_id: str) -> Response:
        _take_no_parameters()
        return _answer(movies.get(_parse_id(movie_id)), movie_id)

    @blueprint.put("/<movie_id>")
    def change_movie(movie_id: str) -> Response:
        _take_no_parameters()
        number = _parse_id(movie_id)
        change = validate(MovieChange, read_json_object(request))
        return _answer(movies.change(number, change.model_dump(exclude_unset=True)), movie_id)

    @blueprint.delete("/<movie_id>")
    def remove_movie(movie_id: str) -> Response:
        _take_no_parameters()
        if not movies.remove(_parse_id(movie_id)):
            raise _no_movie(movie_id)
        return jsonify(deleted=1)

    return blueprint


def _answer(movie: Movie | None, movie_id: str) -> Response:
    if movie is None:
        raise _no_movie(movie_id)
    return jsonify(movie.as_dict())


def _no_movie(movie_id: str) -> Problem:
    return Problem(
        404, "Not Found", f"There is no movie with the id {movie_id}. GET /api/movies lists them all."
    )


def _parse_id(text: str) -> int:
    """Return the id in a path; raises the 404 for what cannot be one."""
    if not _WHOLE_NUMBER.fullmatch(text) or not 0 < int(text) <= MAXIMUM_ID:
        raise _no_movie(text)
    return int(text)


def _take_no_parameters() -> None:
    refuse_unknown_parameters(_parameters(), set())


def _parameters() -> dict[str, list[str]]:
    """Return the query parameters; raises a 400 for what is not UTF-8, which Flask would replace."""
    for part in request.query_string.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        try:
            unquote_to_bytes(value).decode("utf-8")
            unquote_to_bytes(name).decode("utf-8")
        except UnicodeDecodeError as error:
            shown = unquote_to_bytes(name).decode("utf-8", "replace")
            raise invalid_field(shown, "must be percent-encoded UTF-8.") from error
    return request.args.to_dict(flat=False)


def _read_query() -> Query:
    parameters = _parameters()
    refuse_unknown_parameters(parameters, {"title", "limit", "after"})
    values: dict[str, Any] = {name: texts[0] for name, texts in parameters.items()}
    if "title" in values:
        check_text("title", values["title"])
    if "limit" in values:
        values["limit"] = _whole_number("limit", values["limit"], 1, MAXIMUM_PAGE)
    if "after" in values:
        values["after"] = _whole_number("after", values["after"], 0, MAXIMUM_ID)
    return Query(**values)


def _whole_number(name: str, text: str, minimum: int, maximum: int) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or not minimum <= int(text) <= maximum:
        raise invalid_field(name, f"must be a whole number from {minimum} to {maximum}.")
    return int(text)
