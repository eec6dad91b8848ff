"""What a message is: an order with an id, or something else and why. Judged by its content alone."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Final

from pika import BasicProperties

from billing_app.repository import IdentifiedOrder
from platform_common.orders import parse_order
from platform_common.problems import Problem
from platform_common.validation import parse_json_object

MAXIMUM_BYTES: Final = 64 * 1024
UUID_PATTERN: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# Content types of JSON in UTF-8, and content encodings of what is not compressed. (Some clients put the
# character set there.)
_USUAL: Final = re.compile(
    r'application/(?:\S+\+)?json(?:; *charset="?utf-?8"?)?|identity|utf-?8', re.IGNORECASE
)
# Makes an order's id of a message id that is no UUID; must never change.
_MESSAGE_IDS: Final = uuid.UUID("6e1d2f6c-4f0b-5f0e-9c5e-3a6d1f6f2b11")


@dataclass(frozen=True)
class Rejection:
    """Why a message cannot become a row: a code for programs and a sentence for people."""

    code: str
    reason: str


def judge(
    body: bytes, properties: BasicProperties, new_id: uuid.UUID | None = None
) -> IdentifiedOrder | Rejection:
    """Return the order that a message carries, or why it carries none.

    The order's id is the body's order_id; without one the message id; without that a new one. What the
    properties say of the body's encoding makes no order of it and none of what is one: it is only told
    with the reason where the body cannot be read.

    Args:
        body: the message's body as it came.
        properties: the message's properties; a text in them is bytes where it is not UTF-8.
        new_id: the new id, where one is needed; by default a random one.
    """
    if len(body) > MAXIMUM_BYTES:
        return Rejection(
            "not_an_order",
            f"The message is {len(body):,} bytes long; an order has at most {MAXIMUM_BYTES:,}.",
        )
    try:
        content = parse_json_object(body)
    except Problem as problem:
        return Rejection("not_an_order", problem.detail + _declared(properties))
    try:
        order_id = _identify(content.pop("order_id", None), properties.message_id, new_id)
        if isinstance(order_id, Rejection):
            return order_id
        return IdentifiedOrder(order_id, parse_order(content))
    except Problem as problem:
        return Rejection("not_an_order", problem.detail)


def _declared(properties: BasicProperties) -> str:
    """Return a sentence, after a space, about what is declared to be other than JSON in UTF-8; or nothing."""
    declared = {"content type": properties.content_type, "content encoding": properties.content_encoding}
    texts = {name: _text(value) for name, value in declared.items() if value}
    told = [f"{name} {text}" for name, text in texts.items() if not _USUAL.fullmatch(text)]
    return f" It came with the {' and the '.join(told)}." if told else ""


def _identify(
    order_id: object, message_id: str | bytes | None, new_id: uuid.UUID | None
) -> uuid.UUID | Rejection:
    if order_id is not None:
        if not isinstance(order_id, str) or not UUID_PATTERN.fullmatch(order_id):
            return Rejection("not_an_order", "order_id: must be a UUID.")
        return uuid.UUID(order_id)
    if message_id:
        message_id = _text(message_id)
        if UUID_PATTERN.fullmatch(message_id):
            return uuid.UUID(message_id)
        return uuid.uuid5(_MESSAGE_IDS, message_id)
    return new_id or uuid.uuid4()


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
