"""The routes /api/movies and /api/movies/ID."""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes, urlencode

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, field_validator

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
# Of JSON. It fits into the memory of whoever passes it on, for many slow readers at once.
PAGE_BYTES: Final = 192 * 1024
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


def make_movies_blueprint(movies: Movies) -> Blueprint:
    """Return the routes.

    Args:
        movies: where they are stored.
    """
    blueprint = Blueprint("movies", __name__, url_prefix="/api/movies")

    @blueprint.get("")
    def list_movies() -> Response:
        query = _read_query()
        limit = query.get("limit", MAXIMUM_PAGE)
        # One more than wanted tells whether there is more.
        found = movies.page(
            after=query.get("after", 0), rows=limit + 1, size=PAGE_BYTES, title=query.get("title")
        )
        entries: list[bytes] = []
        size = 0
        for movie in found[:limit]:
            entry = movie.as_json().encode()
            size += len(entry) + 1
            # One always fits.
            if entries and size > PAGE_BYTES:
                break
            entries.append(entry)
        body = b'{"movies":[%b]' % b",".join(entries)
        headers = {}
        if len(entries) < len(found):
            last = found[len(entries) - 1]
            following = f"{blueprint.url_prefix}?{urlencode(query | {'after': last.id})}"
            body += b',"next":%b' % encode_basestring(following).encode()
            headers["Link"] = f'<{following}>; rel="next"'
        return Response(body + b"}", headers=headers, content_type="application/json")

    @blueprint.post("")
    def add_movie() -> Response:
        _take_no_parameters()
        new = validate(NewMovie, read_json_object(request))
        movie = movies.add(new.title, new.description)
        response = _show(movie)
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
    return _show(movie)


def _show(movie: Movie) -> Response:
    return Response(movie.as_json(), content_type="application/json")


def _no_movie(movie_id: str) -> Problem:
    return Problem(404, "Not Found", f"There is no movie with the id {movie_id}. GET /api/movies lists them.")


def _parse_id(text: str) -> int:
    """Return the id in a path; raises the 404 for what cannot be one."""
    if not _WHOLE_NUMBER.fullmatch(text) or not 0 < int(text) <= MAXIMUM_ID:
        raise _no_movie(text)
    return int(text)


def _take_no_parameters() -> None:
    refuse_unknown_parameters(_parameters(), set())


def _parameters() -> dict[str, list[str]]:
    """Return the query parameters; raises a 400 for what is not UTF-8, which Flask would replace."""
    if not request.query_string:
        return {}
    for part in request.query_string.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        try:
            unquote_to_bytes(value).decode("utf-8")
            unquote_to_bytes(name).decode("utf-8")
        except UnicodeDecodeError as error:
            shown = unquote_to_bytes(name).decode("utf-8", "replace")
            raise invalid_field(shown, "must be percent-encoded UTF-8.") from error
    return request.args.to_dict(flat=False)


def _read_query() -> dict[str, Any]:
    """Return those of title, limit and after that the request has; raises a 400 for wrong ones."""
    parameters = _parameters()
    refuse_unknown_parameters(parameters, {"title", "limit", "after"})
    values: dict[str, Any] = {name: texts[0] for name, texts in parameters.items()}
    if "title" in values:
        check_text("title", values["title"])
    if "limit" in values:
        values["limit"] = _whole_number("limit", values["limit"], 1, MAXIMUM_PAGE)
    if "after" in values:
        values["after"] = _whole_number("after", values["after"], 0, MAXIMUM_ID)
    return values


def _whole_number(name: str, text: str, minimum: int, maximum: int) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or not minimum <= int(text) <= maximum:
        raise invalid_field(name, f"must be a whole number from {minimum} to {maximum}.")
    return int(text)
