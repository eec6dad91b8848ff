"""Bodies to compare what openapi.yaml says about them with what the server says.

A value stands here as it does in a body's JSON text: a validator reads it as its language does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Final

from inventory_app.movies import MovieChange, NewMovie
from platform_common.orders import parse_order
from platform_common.problems import Problem
from platform_common.validation import parse_json_object, validate

Body = tuple[str, str]
"""The name of the schema in openapi.yaml that it is for, and its JSON text."""

NUMBERS: Final = [
    "0", "-0", "0.0", "-0.0", "0e5", "1", "-1", "1.0", "1.5", "-1.5", "1e0", "1e2", "1.5e1", "15e-1",
    "100e-2", "1e400", "-1e400", "1e18", "123e17", "2147483647", "2147483647.0", "2147483648",
    "-2147483648", "9007199254740993", "9223372036854775807", "9223372036854777856",
    "18446744073709551616", "9999999999.98", "9999999999.99", "9999999999.990", "10000000000",
    "9999999999.9e0", "0.01", "0.07", "0.10", "1.1", "1.10", "1.100", "-0.01", "9" * 100, "9" * 101,
    "9" * 255,
]  # fmt: skip
TEXTS: Final = [
    "", " ", "5", " 5", "5 ", "5\n", "\n5", "5\r", "5\t", "5\u2028", "+5", "-5", "05", "000", "5.", ".5",
    "5,5", "1_0", "5e", "e5", "5e5.0", "1e2", "1E2", "1e+2", "1e02", "1.5e1", "100e-2", "1e2\n", "-0",
    "-0.0", "-00.00", "-0e5", "-0e5\n", "-0e7492804372024132110", "-1e2", "+1e2", "- 5", "--5",
    "0x10", "\u0663", "\u00b2",
    "\uff15", "NaN", "Infinity", "-Infinity", "null", "true", "1.0", "1.00", "1.10", "1.100", "1.001",
    "01.10", "-0.01", "-1.00", "0.5", "2147483646", "2147483647", "02147483647.000", "2147483647.1",
    "2147483648", "2150000000", "3000000000", "9223372036854775806", "9223372036854775807",
    "9223372036854775808", "9300000000000000000", "12345678901234567890", "9999999999.99",
    "9999999999.990", "9999999999.991", "10000000000", "10000000000.00", "0" * 99 + "5", "0" * 100 + "5",
    "5." + "0" * 98, "5." + "0" * 99, "5e" + "0" * 98, "5e" + "0" * 99, "a\0b", " a b ",
    "\U0001f3ac" * 255, "\U0001f3ac" * 256, "x" * 10_000, "x" * 10_001, "\U0001f3ac" * 10_000,
]  # fmt: skip
OTHERS: Final = ["null", "true", "false", "[]", "{}", "[5]", '{"a": 5}']
VALUES: Final = [*NUMBERS, *map(json.dumps, TEXTS), *OTHERS]

ORDER: Final = {"user_id": '"20"', "number_of_items": "99", "total_amount": "250", "film_id": "null"}
MOVIE: Final = {"title": '"The Matrix"', "description": '"Red or blue."'}

_TOO_FINE: Final = ["1.000000000000000000001", "1." + "0" * 100]
_BEYOND: Final = ["5e-1", "0e1", "123e17", "1e400", "1e99999999999999999999", "1e-99999999999999999999"]
_NO_CHARACTERS: Final = ['"\\ud800"', '"a\\udc00b"']
# What the server refuses and the document cannot.
LEFT_TO_THE_SERVER: Final[dict[str, dict[str, list[str]]]] = {
    "Most validators count decimals in binary fractions, and would refuse 0.07 too": {
        "total_amount": ["0.001", "1.001", "1.234", "5e-1000", "9999999999.985", "0.30000000000000004"]
    },
    "A binary fraction does not tell it from a number that is taken": {
        "number_of_items": _TOO_FINE,
        "film_id": _TOO_FINE,
        "total_amount": [*_TOO_FINE, "9999999999.9900000001"],
        "user_id": ["1.000000000000000000001", "9" * 256, "-" + "9" * 255],
    },
    "No pattern tells the value of a text with an exponent": {
        "number_of_items": [f'"{text}"' for text in _BEYOND],
        "film_id": [f'"{text}"' for text in _BEYOND],
        "total_amount": [f'"{text}"' for text in ("1e-3", "1e10", *_BEYOND[2:])],
    },
    "Many engines refuse a pattern with half a character": {
        "user_id": _NO_CHARACTERS,
        "title": _NO_CHARACTERS,
        "description": _NO_CHARACTERS,
    },
}


def server_takes(body: Body) -> bool:
    """Say whether the server takes a body."""
    schema, text = body
    try:
        document = parse_json_object(text.encode("utf-8", "surrogatepass"))
        if schema == "NewOrder":
            parse_order(document)
        else:
            validate(NewMovie if schema == "NewMovie" else MovieChange, document)
    except Problem:
        return False
    return True


def amounts() -> Iterator[str]:
    """Yield each cent up to 100, at the upper end and here and there between, as a number and as a text."""
    for cents in [
        *range(10_001),
        *range(999_999_999_500, 1_000_000_000_000),
        *range(1, 10**12, 12_345_678_901),
    ]:
        amount = Decimal(cents) / 100
        for number in {f"{amount:.2f}", f"{amount:f}"}:
            yield from (number, f'"{number}"')


def bodies() -> Iterator[Body]:
    """Yield bodies of which document and server must say the same."""
    for field, value in product(ORDER, VALUES):
        yield with_values("NewOrder", {field: value})
    # What is left out, what is null.
    for values in product((None, "null", "5"), repeat=len(ORDER)):
        yield "NewOrder", _text({n: v for n, v in zip(ORDER, values, strict=True) if v is not None})
    yield with_values("NewOrder", {"order_id": '"x"'})
    for schema in ("NewMovie", "MovieChange"):
        for field, value in product(MOVIE, VALUES):
            yield with_values(schema, {field: value})
            yield schema, _text({field: value})
        yield schema, "{}"
        yield with_values(schema, {"no_field": "1999"})


def bodies_left_to_the_server(reason: str) -> Iterator[Body]:
    """Yield bodies that the document lets through and the server refuses, for one of the reasons."""
    for field, values in LEFT_TO_THE_SERVER[reason].items():
        for value in values:
            yield with_values("NewOrder" if field in ORDER else "NewMovie", {field: value})


def with_values(schema: str, values: dict[str, str]) -> Body:
    """Return a body that is right but for `values`."""
    return schema, _text((ORDER if schema == "NewOrder" else MOVIE) | values)


def _text(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"
