"""The app factory."""

from __future__ import annotations

import logging
from typing import Final

from flask import Flask
from pika import ConnectionParameters

from api_gateway_app import health
from api_gateway_app.billing import make_billing_blueprint
from api_gateway_app.docs import make_docs_blueprint
from api_gateway_app.large_bodies import init_large_bodies
from api_gateway_app.orders.desk import OrderDesk
from api_gateway_app.orders.forwarder import Forwarder
from api_gateway_app.orders.lease import Lease
from api_gateway_app.orders.publisher import Publisher
from api_gateway_app.orders.shared_keys import SharedKeys
from api_gateway_app.orders.store import OrderStore, StoreLimits
from api_gateway_app.page.routes import make_page_blueprint
from api_gateway_app.proxy_control import ProxyControl
from api_gateway_app.proxy_paths import paths
from api_gateway_app.settings import Settings
from platform_common.app import make_app
from platform_common.health import OUTER_CHECK_SECONDS
from platform_common.orders import KEY_LIFETIME_SECONDS

# Missed heartbeats end the connection to a broker that stands still, even when nothing is published.
HEARTBEAT_SECONDS: Final = 10
# What the broker's machine does not acknowledge for so long ends it too: the network is cut (tcp(7)).
UNACKNOWLEDGED_MILLISECONDS: Final = 10_000


def create_app(settings: Settings) -> Flask:
    """Return the app, with its threads running: publisher and forwarder.

    Nothing here needs a dependency to be up: the threads go on trying.
    """
    publisher = Publisher(
        lambda: _broker_parameters(settings),
        exchange=settings.broker.exchange,
        routing_key=settings.broker.routing_key,
    )
    store = OrderStore(settings.orders_directory, limits=StoreLimits(max_bytes=settings.orders_maximum_bytes))
    proxy = ProxyControl(paths().control)
    app = make_app(
        __name__,
        settings=settings.base,
        checks={
            health.INVENTORY: health.cached(lambda: proxy.check_upstream(health.INVENTORY)),
            health.BILLING: health.cached(lambda: proxy.check_upstream(health.BILLING)),
            health.BROKER: lambda: health.check_publisher(publisher),
            health.STORE: health.cached(lambda: health.check_store(store)),
        },
        verdict=health.verdict,
        check_seconds=OUTER_CHECK_SECONDS,
    )
    # The proxy writes a line for each request.
    logging.getLogger("access").setLevel(logging.WARNING)
    init_large_bodies(app)
    keys = SharedKeys(paths().billing) if settings.shared_idempotency_keys else None
    desk = OrderDesk(publisher, store, keeps=settings.keep_orders, shared_keys=keys)
    app.register_blueprint(make_billing_blueprint(desk))
    app.register_blueprint(make_docs_blueprint(is_home=not settings.page))
    if settings.page:
        app.register_blueprint(make_page_blueprint())

    publisher.start()
    if not settings.base.candidate:
        # A candidate has a scratch volume, and never hands over orders that are another's.
        lease = Lease(settings.orders_directory / "forwarder.lock")
        Forwarder(store, publisher, lease, key_lifetime_seconds=KEY_LIFETIME_SECONDS).start()
    return app


def _broker_parameters(settings: Settings) -> ConnectionParameters:
    parameters = settings.broker.connection_parameters(
        settings.base.service_name, heartbeat=HEARTBEAT_SECONDS
    )
    parameters.tcp_options = {"TCP_USER_TIMEOUT": UNACKNOWLEDGED_MILLISECONDS}
    return parameters
