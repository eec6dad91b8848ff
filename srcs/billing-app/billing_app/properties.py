"""Reading the properties of messages that any client may have put into a queue."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Final

from pika import BasicProperties
from pika.exceptions import AMQPError

_FLAGS: Final = struct.Struct(">H")
_TABLE_LENGTH: Final = struct.Struct(">I")
_decode: Final[Callable[[BasicProperties, bytes, int], BasicProperties]] = BasicProperties.decode
_logger = logging.getLogger(__name__)


def tolerate_unreadable_headers() -> None:
    """Make pika deliver a message without its headers where it cannot read them.

    pika 1.3 raises while it reads from the connection, for example at a header that holds a time in
    milliseconds where AMQP has seconds: every connection would end at the same message, for ever. An
    order is its body and its id; the headers are left out.
    """
    BasicProperties.decode = _decode_tolerantly  # type: ignore[method-assign,assignment]


def _decode_tolerantly(self: BasicProperties, encoded: bytes, offset: int = 0) -> BasicProperties:
    try:
        return _decode(self, encoded, offset)
    except (AMQPError, ArithmeticError, OSError, RecursionError, ValueError, struct.error) as error:
        _logger.warning("a message's headers cannot be read (%r) and are left out", error)
        return _decode(self, _without_headers(encoded[offset:]), 0)


def _without_headers(encoded: bytes) -> bytes:
    """Cut the table of headers out (AMQP 0-9-1, 4.2.6.1: flags, then the properties in their order)."""
    (flags,) = _FLAGS.unpack_from(encoded)
    start = _FLAGS.size
    for flag in (BasicProperties.FLAG_CONTENT_TYPE, BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            start += 1 + encoded[start]
    (length,) = _TABLE_LENGTH.unpack_from(encoded, start)
    rest = encoded[start + _TABLE_LENGTH.size + length :]
    return _FLAGS.pack(flags & ~BasicProperties.FLAG_HEADERS) + encoded[_FLAGS.size : start] + rest
