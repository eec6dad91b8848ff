"""The route /api/billing/UUID."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from billing_app.judge import UUID_PATTERN
from billing_app.repository import Orders
from platform_common.problems import Problem
from platform_common.validation import refuse_unknown_parameters


def make_orders_blueprint(orders: Orders) -> Blueprint:
    """Return the route that shows one stored order."""
    blueprint = Blueprint("orders", __name__, url_prefix="/api/billing")

    @blueprint.get("/<order_id>")
    def get_order(order_id: str) -> Response:
        refuse_unknown_parameters(request.args.to_dict(flat=False), set())
        order = orders.get(UUID(order_id)) if UUID_PATTERN.fullmatch(order_id) else None
        if order is None:
            raise Problem(
                404,
                "Not Found",
                f"There is no order with the id {order_id}. An id is a UUID, the order_id of the answer to "
                "POST. An order that was just posted may need a moment.",
            )
        return jsonify(order.as_dict())

    return blueprint
