"""/api/billing: orders are taken here; what became of one, the proxy asks billing-app."""

from __future__ import annotations

import re
from typing import Final

from flask import Blueprint, Response, jsonify, request

from api_gateway_app.orders.desk import OrderDesk
from platform_common.orders import parse_order
from platform_common.problems import Problem
from platform_common.request_context import request_id_var
from platform_common.validation import read_json_object, refuse_unknown_parameters

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


def make_billing_blueprint(desk: OrderDesk) -> Blueprint:
    """Return the routes below /api/billing."""
    blueprint = Blueprint("billing", __name__, url_prefix="/api/billing")

    @blueprint.post("")
    def post_order() -> Response:
        refuse_unknown_parameters(request.args.to_dict(flat=False), set())
        key = _idempotency_key()
        order = parse_order(read_json_object(request))
        accepted = desk.accept(order, idempotency_key=key, request_id=request_id_var.get())
        response = jsonify({"message": "Message posted", "order_id": accepted.order_id})
        # For the proxy's log only (haproxy.cfg).
        response.headers["X-Order-Id"] = accepted.order_id
        response.headers["X-Order-Outcome"] = "kept" if accepted.is_kept else "confirmed"
        return response

    return blueprint


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "Bad Request", "Idempotency-Key: must be 1 to 255 printable ASCII characters.")
    return key
