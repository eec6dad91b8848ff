"""The app factory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flask import Flask

from billing_app.broker_check import check_broker
from billing_app.idempotency_keys import IdempotencyKeys, make_idempotency_keys_blueprint
from billing_app.orders import make_orders_blueprint
from billing_app.repository import Orders
from billing_app.settings import Settings
from billing_app.state import ConsumerState
from platform_common.app import make_app
from platform_common.database import check_database, init_database_problems, make_engine
from platform_common.health import Check


def create_app(settings: Settings, consumer: ConsumerState) -> Flask:
    """Return the app; it connects to the database when it first needs it.

    Args:
        settings: what the app was told.
        consumer: what the consumer's process shows of itself.
    """
    base = settings.base
    engine = make_engine(settings.database, base.service_name, pool_size=base.threads + 1)
    orders = Orders(engine)
    checks: Mapping[str, Check]
    if base.candidate:
        checks = {
            "database": partial(check_database, orders.ping),
            "broker": partial(check_broker, settings.broker),
        }
    else:
        checks = {
            "database": partial(check_database, orders.check),
            "broker": consumer.check_broker,
            # Seen here before the watchdog ends it.
            "consumer": partial(consumer.check_consumer, base.hang_seconds * 2 / 3),
        }
    app = make_app(__name__, settings=base, checks=checks)
    init_database_problems(app)
    app.register_blueprint(make_orders_blueprint(orders))
    app.register_blueprint(make_idempotency_keys_blueprint(IdempotencyKeys(engine)))
    return app
