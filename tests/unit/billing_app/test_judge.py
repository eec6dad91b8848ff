"""What is an order, and what is not, by the content of a message."""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from decimal import Decimal
from typing import Any

import pytest
from pika import BasicProperties

from billing_app.judge import Rejection, judge
from billing_app.repository import IdentifiedOrder

GOOD = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}
ORDER_ID = "5b0f6c0e-9d3b-4a53-8c0f-0d3b2f1c9a77"


def accepted(body: object, message_id: str | None = None) -> IdentifiedOrder:
    verdict = judge(json.dumps(body).encode(), BasicProperties(message_id=message_id))
    assert isinstance(verdict, IdentifiedOrder), verdict
    return verdict


def test_the_gateways_message_is_an_order_with_its_id() -> None:
    body = {"order_id": ORDER_ID, "user_id": "u", "number_of_items": 1, "total_amount": None, "film_id": 7}
    verdict = accepted(body, ORDER_ID)
    assert verdict.order_id == uuid.UUID(ORDER_ID)
    assert (verdict.order.film_id, verdict.order.total_amount) == (7, None)


def test_an_order_by_hand_may_be_written_like_a_clients() -> None:
    verdict = accepted(GOOD)
    assert (verdict.order.user_id, verdict.order.number_of_items) == ("20", 99)
    assert verdict.order.total_amount == Decimal("250.00")


def test_the_id_in_the_body_comes_before_the_message_id() -> None:
    assert accepted({**GOOD, "order_id": ORDER_ID}, str(uuid.uuid4())).order_id == uuid.UUID(ORDER_ID)


def test_a_message_id_identifies_an_order_that_has_no_id() -> None:
    assert accepted(GOOD, ORDER_ID.upper()).order_id == uuid.UUID(ORDER_ID)
    assert accepted(GOOD, "order 7").order_id == accepted(GOOD, "order 7").order_id
    assert accepted(GOOD, "order 7").order_id != accepted(GOOD, "order 8").order_id


def test_the_id_made_of_a_message_id_never_changes() -> None:
    """A message may be delivered again to a newer version of this app."""
    assert accepted(GOOD, "order 7").order_id == uuid.UUID("2279e602-44aa-5c33-af78-b9c316a30df9")


def test_without_any_id_two_equal_messages_are_two_orders() -> None:
    assert accepted(GOOD).order_id != accepted(GOOD).order_id


POISON = {
    b"": "empty",
    b"null": "not an object",
    b"[]": "not an object",
    b'"text"': "not an object",
    b"{": "not JSON",
    b"\xff\xfe{}": "not UTF-8",
    b'{"user_id": "u", "number_of_items": 1, "total_amount": NaN}': "NaN",
    b'{"user_id": "u", "number_of_items": 1, "total_amount": 1e400}': "must be from 0 to 9999999999.99",
    b'{"user_id": "\\ud800", "number_of_items": 1, "total_amount": 1}': "user_id: must not contain a lone",
    b'{"user_id": "a\\u0000b", "number_of_items": 1, "total_amount": 1}': "user_id: must not contain the NUL",
    b'{"user_id": "u", "number_of_items": 1, "total_amount": 1, "x": 1}': "x: is an unknown field",
    b'{"user_id": "u", "number_of_items": 1, "total_amount": 1, "order_id": "7"}': "order_id: must be a UUID",
    b'{"user_id": "u", "number_of_items": 1, "total_amount": 1, "order_id": 7}': "order_id: must be a UUID",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000: "bytes long|too deep",
    b"[" * 5000 + b"]" * 5000: "too deep",
    b"x" * 1024 * 1024: "1,048,576 bytes",
}


@pytest.mark.parametrize(("body", "words"), POISON.items(), ids=list(POISON.values()))
def test_what_is_no_order_has_a_reason_for_people(body: bytes, words: str) -> None:
    verdict = judge(body, BasicProperties())
    assert isinstance(verdict, Rejection)
    assert verdict.code == "not_an_order"
    assert any(word in verdict.reason for word in words.split("|"))


TEXT = json.dumps(GOOD)
# {"user_id":"20"}, by their own programs: zstd and brotli are no part of Python 3.11.
ZSTD = bytes.fromhex("28b52ffd00588100007b22757365725f6964223a223230227d")
BROTLI = bytes.fromhex("8b07807b22757365725f6964223a223230227d03")
NO_TEXT: Any = b"\xe9"  # What pika gives where a property is not UTF-8.
ENCODED: dict[str, tuple[bytes, BasicProperties, str]] = {
    "gzip": (gzip.compress(TEXT.encode()), BasicProperties(), "compressed with gzip. Send plain JSON."),
    "gzip, declared": (
        gzip.compress(TEXT.encode()),
        BasicProperties(content_type="application/json", content_encoding="gzip"),
        "compressed with gzip. Send plain JSON. It came with the content encoding gzip.",
    ),
    "deflate": (zlib.compress(TEXT.encode()), BasicProperties(), "compressed with deflate. Send plain JSON."),
    "zstd": (ZSTD, BasicProperties(), "compressed with zstd. Send plain JSON."),
    "brotli, declared": (BROTLI, BasicProperties(content_encoding="br"), "the content encoding br."),
    "UTF-16": (TEXT.encode("utf-16"), BasicProperties(), "in UTF-16. Send JSON in UTF-8."),
    "UTF-16, no mark": (TEXT.encode("utf-16-le"), BasicProperties(), "in UTF-16. Send JSON in UTF-8."),
    "UTF-16, big end": (TEXT.encode("utf-16-be"), BasicProperties(), "in UTF-16. Send JSON in UTF-8."),
    "UTF-32": (TEXT.encode("utf-32"), BasicProperties(), "in UTF-32. Send JSON in UTF-8."),
    "UTF-8, mark": (TEXT.encode("utf-8-sig"), BasicProperties(), "begins with a byte order mark."),
    "Latin-1": (b'{"user_id": "\xe9"}', BasicProperties(), "not UTF-8 (byte 13). Send JSON in UTF-8."),
    "a form": (
        b"user_id=20&number_of_items=99",
        BasicProperties(content_type="application/x-www-form-urlencoded", content_encoding="utf-8"),
        "(line 1, column 1). It came with the content type application/x-www-form-urlencoded.",
    ),
    "XML": (b"<order/>", BasicProperties(content_type="text/xml"), "the content type text/xml."),
    "names that are no text": (
        b"\xff",
        BasicProperties(content_type=NO_TEXT, content_encoding=NO_TEXT),
        r"the content type \xe9 and the content encoding \xe9.",
    ),
    "a text that begins like deflate": (b"x^2", BasicProperties(), "not JSON"),
}


@pytest.mark.parametrize(("body", "properties", "words"), ENCODED.values(), ids=list(ENCODED))
def test_what_cannot_be_read_is_told_to_be_what_it_is(
    body: bytes, properties: BasicProperties, words: str
) -> None:
    verdict = judge(body, properties)
    assert isinstance(verdict, Rejection)
    assert verdict.code == "not_an_order"
    assert words in verdict.reason


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/x-msgpack"])
@pytest.mark.parametrize("content_encoding", [None, "gzip", "br", "utf-16", "utf-8"])
def test_plain_json_is_an_order_whatever_its_properties_say(
    content_type: str | None, content_encoding: str | None
) -> None:
    properties = BasicProperties(content_type=content_type, content_encoding=content_encoding)
    assert isinstance(judge(TEXT.encode(), properties), IdentifiedOrder)


def test_what_is_json_but_no_order_is_told_by_its_content_alone() -> None:
    verdict = judge(b"{}", BasicProperties(content_type="text/plain"))
    assert isinstance(verdict, Rejection)
    assert "content type" not in verdict.reason
