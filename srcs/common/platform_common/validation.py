"""Reading and checking what a caller sent, with answers that name the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from platform_common.problems import Problem

ModelT = TypeVar("ModelT", bound=BaseModel)

MAXIMUM_DEPTH: Final = 20
# An answer must not be much longer than a caller can read, however much is wrong.
MAXIMUM_ERRORS: Final = 20
_LONGEST_NAME: Final = 100
# Python makes no int of more than 4300 digits, and takes long for much fewer; a Decimal takes any.
_LONGEST_INT: Final = 1000
# How what is compressed begins; Brotli has no such sign.
_COMPRESSIONS: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x78\x01": "deflate",
    b"\x78\x5e": "deflate",
    b"\x78\x9c": "deflate",
    b"\x78\xda": "deflate",
}
_JSON_MEDIA_TYPE: Final = re.compile(r"application/(?:json|[a-z0-9!#$&^_.+-]+\+json)")


def bad_request(detail: str, **extensions: Any) -> Problem:
    """Return the 400 that says `detail`."""
    return Problem(400, "Bad Request", detail, **extensions)


def invalid_field(field: str, message: str) -> Problem:
    """Return the 400 that says what is wrong with one field or query parameter."""
    return bad_request(f"{field}: {message}", errors=[{"field": field, "message": message}])


def read_json_object(request: Request) -> dict[str, Any]:
    """Return the body of `request`, which must be one JSON object (RFC 8259).

    Numbers with a fraction or an exponent come as `Decimal`, so that no digit is lost; so do very
    long whole numbers. One whose exponent is beyond every `Decimal` comes as its NaN.

    Raises:
        Problem: 415 for another content type, and for what is declared as compressed; 400 for what
            is no JSON object in UTF-8, for a name given twice, NaN or Infinity, nesting deeper than
            `MAXIMUM_DEPTH`, and for NUL characters or lone surrogates in any name or text.
        RequestEntityTooLarge: the body is larger than the app allows (answered with 413).
    """
    if not _JSON_MEDIA_TYPE.fullmatch(request.mimetype):
        raise Problem(
            415,
            "Unsupported Media Type",
            "Send the body as JSON, with the header Content-Type: application/json.",
            headers={"Accept": "application/json"},
        )
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() not in {"identity", ""}:
        raise Problem(
            415,
            "Unsupported Media Type",
            f"Send the body as plain JSON, without Content-Encoding: {_printable(coding)}.",
            headers={"Accept-Encoding": "identity"},
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8"}:
        raise Problem(415, "Unsupported Media Type", "Send the body in UTF-8, the encoding of JSON.")
    return parse_json_object(read_body(request))


def read_body(request: Request) -> bytes:
    """Return the whole body of `request`.

    Raises:
        RequestEntityTooLarge: it is larger than the app allows. Werkzeug sees that by the
            Content-Length; a chunked body it would cut at the limit without a word.
    """
    limit = request.max_content_length
    if limit is None or request.content_length is not None:
        return request.get_data(cache=False)
    request.max_content_length = limit + 1
    body = request.get_data(cache=False)
    request.max_content_length = limit
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` holds, by the same rules as `read_json_object`.

    Raises:
        Problem: 400, saying what is wrong.
    """
    if not body:
        raise bad_request("The body is empty. Send a JSON object.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        if compression := next((name for sign, name in _COMPRESSIONS.items() if body.startswith(sign)), None):
            raise bad_request(f"The body is compressed with {compression}. Send plain JSON.") from error
        _refuse_wide_characters(body)
        raise bad_request(f"The body is not UTF-8 (byte {error.start}). Send JSON in UTF-8.") from error
    if text.startswith("\ufeff"):
        raise bad_request("The body begins with a byte order mark. Send it without.")
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse_wide_characters(body)
        raise bad_request(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    if not isinstance(document, dict):
        raise bad_request("The body is JSON, but not an object. Send an object, as in {…}.")
    _check_texts(document)
    return document


def _refuse_wide_characters(body: bytes) -> None:
    """Raise a 400 that says so if `body`, which cannot be read as UTF-8, is JSON in UTF-16 or UTF-32."""
    encoding = json.detect_encoding(body)
    name = encoding[:6].upper()
    if name != "UTF-8" and body.decode(encoding, "replace").lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        raise bad_request(f"The body is in {name}. Send JSON in UTF-8.")


def check_text(field: str, text: str) -> None:
    """Raise a 400 that names `field` if `text` has characters that cannot be stored or sent."""
    if "\0" in text:
        raise invalid_field(field, "must not contain the NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise invalid_field(field, "must not contain a lone surrogate.") from error


def validate(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    """Return `data` as an instance of `model`.

    Raises:
        Problem: 400; `detail` names the wrong fields, `errors` lists them one by one, both up to
            `MAXIMUM_ERRORS`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = [
            {"field": _place(item["loc"]), "message": _sentence(item)}
            for item in error.errors(include_url=False, include_input=False)[:MAXIMUM_ERRORS]
        ]
        detail = " ".join(f"{item['field']}: {item['message']}" for item in errors)
        raise bad_request(detail, errors=errors) from error


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(_printable(str(part)) for part in location) or "body"


def refuse_unknown_parameters(arguments: Mapping[str, list[str]], known: set[str]) -> None:
    """Raise a 400 that names the first query parameter that is unknown or given more than once.

    Args:
        arguments: each parameter's values, as `request.args.to_dict(flat=False)` has them.
        known: the names that the route takes.
    """
    for name, values in arguments.items():
        if name not in known:
            expected = f"Known here: {', '.join(sorted(known))}." if known else "None is known here."
            raise invalid_field(_printable(name), f"is an unknown query parameter. {expected}")
        if len(values) > 1:
            raise invalid_field(name, "is given more than once. Give it once.")


def _printable(name: str) -> str:
    if not name:
        return '""'
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}…"
    return name.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # Whoever checks the field refuses it, and can name it; here its name is not known.
        return Decimal("NaN")


def _read_integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_INT else Decimal(text)


def _refuse_constant(name: str) -> NoReturn:
    raise bad_request(f"The body is not JSON: {name} is no number in JSON.")


def _object_without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise invalid_field(_printable(name), "is given more than once. Give it once.")
            seen.add(name)
    return result


# `json.loads` would make one for each body.
_DECODER: Final = json.JSONDecoder(
    parse_float=_read_decimal,
    parse_int=_read_integer,
    parse_constant=_refuse_constant,
    object_pairs_hook=_object_without_repetition,
)


def _too_deep() -> Problem:
    return bad_request(f"The body is nested too deep. Nest at most {MAXIMUM_DEPTH} levels.")


def _check_texts(document: Any, path: str = "", depth: int = 1) -> None:
    """Check each name and text in `document`, whose place in the body is `path`."""
    if isinstance(document, str):
        check_text(path, document)
    elif isinstance(document, dict | list):
        if depth > MAXIMUM_DEPTH:
            raise _too_deep()
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in items:
            place = f"{path}.{_printable(str(name))}" if path else _printable(str(name))
            if isinstance(name, str):
                check_text(place, name)
            _check_texts(value, place, depth + 1)


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is missing. Add it.",
    "extra_forbidden": lambda _: "is an unknown field. Remove it.",
    "string_type": lambda _: "must be a text.",
    "int_type": lambda _: "must be a whole number.",
    "string_too_short": lambda context: f"must have at least {_characters(context['min_length'])}.",
    "string_too_long": lambda context: f"must have at most {_characters(context['max_length'])}.",
    "greater_than_equal": lambda context: f"must be at least {context['ge']}.",
    "less_than_equal": lambda context: f"must be at most {context['le']}.",
}


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count:,} characters"


def _sentence(item: Mapping[str, Any]) -> str:
    """Return one error of pydantic's as a sentence that begins after the field's name."""
    context = item.get("ctx", {})
    if item["type"] == "value_error":
        # A validator of ours raised it: its text is already a sentence.
        return str(context["error"])
    if sentence := _SENTENCES.get(item["type"]):
        return sentence(context)
    return f"{item['msg']}."
