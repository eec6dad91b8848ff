"""What an order is: one definition for the gateway, which takes it, and for billing-app, which stores it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from platform_common.validation import bad_request, check_text, validate

# How long an idempotency key stands for the order that came with it first.
KEY_LIFETIME_SECONDS: Final = 24 * 60 * 60.0
MAXIMUM_ITEMS: Final = 2**31 - 1
MAXIMUM_AMOUNT: Final = Decimal("9999999999.99")
MAXIMUM_ID: Final = 2**63 - 1

# A plain decimal number as JSON writes one, here also allowed as text.
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# Bounded, so that neither 1e999999999 nor a million digits cost anything.
_MAXIMUM_NUMBER_LENGTH: Final = 100
_MAXIMUM_USER_LENGTH: Final = 255


class Order(BaseModel):
    """One order, checked.

    Attributes:
        user_id: who ordered; 1 to 255 characters.
        number_of_items: 1 to 2^31-1.
        total_amount: 0 to 9,999,999,999.99 with two decimals; None where it is not known.
        film_id: the film that was ordered, where the order is of that form; else None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: Annotated[str, Field(min_length=1, max_length=_MAXIMUM_USER_LENGTH)]
    number_of_items: int
    film_id: int | None = None
    total_amount: Decimal | None

    @model_validator(mode="before")
    @classmethod
    def _complete_film_order(cls, data: Any) -> Any:
        """An order that names a film and gives neither number nor amount: one item, amount unknown."""
        if isinstance(data, Mapping) and data.get("film_id") is not None:
            return {"number_of_items": 1, "total_amount": None, **data}
        return data

    @field_validator("user_id", mode="before")
    @classmethod
    def _read_user_id(cls, value: Any) -> str:
        if isinstance(value, Decimal):
            value = _as_integer(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError("must be a text or a whole number.")
        return value

    @field_validator("number_of_items", mode="before")
    @classmethod
    def _read_number_of_items(cls, value: Any) -> int:
        return _whole_number(value, 1, MAXIMUM_ITEMS)

    @field_validator("film_id", mode="before")
    @classmethod
    def _read_film_id(cls, value: Any) -> int | None:
        return None if value is None else _whole_number(value, 1, MAXIMUM_ID)

    @field_validator("total_amount", mode="before")
    @classmethod
    def _read_total_amount(cls, value: Any, info: ValidationInfo) -> Decimal | None:
        if value is None:
            # Pydantic checks the fields in their order: film_id is known here, unless it is wrong,
            # which the caller is told anyway.
            if "film_id" in info.data and info.data["film_id"] is None:
                raise ValueError("must be a number; null is possible only where film_id is given.")
            return None
        amount = _number(value)
        if not 0 <= amount <= MAXIMUM_AMOUNT:
            raise ValueError("must be from 0 to 9999999999.99.")
        cents = amount.quantize(Decimal("0.01"))
        if cents != amount:
            raise ValueError("must have at most 2 decimals.")
        return cents.copy_abs()

    def to_message(self, order_id: UUID) -> dict[str, Any]:
        """Return the order as the queue's messages carry it."""
        return {
            "order_id": str(order_id),
            "user_id": self.user_id,
            "number_of_items": self.number_of_items,
            "total_amount": None if self.total_amount is None else str(self.total_amount),
            "film_id": self.film_id,
        }

    def canonical_bytes(self) -> bytes:
        """Return bytes that are the same for each way to write this order, for comparing bodies.

        "99", 99 and 99.0 items are the same, 250 and "250.00" too.
        """
        amount = None if self.total_amount is None else str(self.total_amount)
        content = [self.user_id, self.number_of_items, amount, self.film_id]
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def parse_order(data: Mapping[str, Any]) -> Order:
    """Return what a client sent as an `Order`.

    Args:
        data: {"user_id", "number_of_items", "total_amount"} or {"film_id", "user_id"}, with
            numbers as int, `Decimal` or numeric text.

    Raises:
        Problem: 400, naming the field that is wrong.
    """
    for name, value in data.items():
        if isinstance(value, str):
            check_text(name, value)
        elif isinstance(value, float):
            raise bad_request(f"{name}: must be read as a decimal number, not as a binary one.")
    return validate(Order, data)


def order_body(order: Order, order_id: UUID | str) -> bytes:
    """Return the body of the message that carries `order` through the broker: JSON in UTF-8."""
    message = order.to_message(UUID(str(order_id)))
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _as_integer(value: Decimal) -> int | None:
    """Return a whole JSON number such as 20.0 as an int; None for what is not whole.

    Raises:
        ValueError: it has more digits than a user_id may have.
    """
    if not value.is_finite() or value != value.to_integral_value():
        return None
    if value and value.adjusted() >= _MAXIMUM_USER_LENGTH:
        raise ValueError(f"must have at most {_MAXIMUM_USER_LENGTH} characters.")
    return int(value)


def _number(value: Any) -> Decimal:
    """Return a JSON number or a numeric text as an exact decimal; infinite where out of every range."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("must be a number.")
    text = str(value)
    if len(text) > _MAXIMUM_NUMBER_LENGTH or (isinstance(value, Decimal) and not value.is_finite()):
        raise ValueError(
            f"must be a number that is written with at most {_MAXIMUM_NUMBER_LENGTH} characters."
        )
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a number.")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("must be a number with a smaller exponent.") from error
    if not number:
        return Decimal(0)
    if number.adjusted() > _MAXIMUM_NUMBER_LENGTH:
        # It would be long when written out.
        return Decimal("Infinity").copy_sign(number)
    return number


def _whole_number(value: Any, minimum: int, maximum: int) -> int:
    number = _number(value)
    if number.is_finite() and number != number.to_integral_value():
        raise ValueError("must be a whole number.")
    if not minimum <= number <= maximum:
        raise ValueError(f"must be from {minimum} to {maximum}.")
    return int(number)
