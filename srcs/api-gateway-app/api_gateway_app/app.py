"""The app factory."""

from __future__ import annotations

from typing import Final

from flask import Flask, request
from pika import ConnectionParameters

from api_gateway_app import health
from api_gateway_app.access_log import AccessLog, init_access_log
from api_gateway_app.billing import make_billing_blueprint
from api_gateway_app.docs import make_docs_blueprint
from api_gateway_app.front.environ import REFUSAL
from api_gateway_app.movies import make_movies_blueprint
from api_gateway_app.orders.desk import KEY_LIFETIME_SECONDS, OrderDesk
from api_gateway_app.orders.forwarder import Forwarder
from api_gateway_app.orders.lease import Lease
from api_gateway_app.orders.publisher import Publisher
from api_gateway_app.orders.store import OrderStore, StoreLimits
from api_gateway_app.settings import Settings
from api_gateway_app.token import init_token
from api_gateway_app.upstream.relay import Upstream
from platform_common.app import make_app
from platform_common.health import OUTER_CHECK_SECONDS

# Missed heartbeats end the connection to a broker that stands still, even when nothing is published.
HEARTBEAT_SECONDS: Final = 10
# What the broker's machine does not acknowledge for so long ends it too: the network is cut (tcp(7)).
UNACKNOWLEDGED_MILLISECONDS: Final = 10_000


def create_app(settings: Settings) -> Flask:
    """Return the app, with its threads running: publisher, forwarder and access log.

    Nothing here needs a dependency to be up: the threads go on trying.
    """
    threads = settings.base.threads
    publisher = Publisher(
        lambda: _broker_parameters(settings),
        exchange=settings.broker.exchange,
        routing_key=settings.broker.routing_key,
    )
    store = OrderStore(settings.orders_directory, limits=StoreLimits(max_bytes=settings.orders_maximum_bytes))
    read_seconds = settings.upstream_read_seconds
    inventory = Upstream(
        health.INVENTORY, settings.inventory_service_url, threads=threads, read_seconds=read_seconds
    )
    billing = Upstream(
        health.BILLING, settings.billing_service_url, threads=threads, read_seconds=read_seconds
    )
    access_log = AccessLog(
        settings.access_log_directory,
        file_bytes=settings.access_log_file_bytes,
        files=settings.access_log_files,
    )

    app = make_app(
        __name__,
        settings=settings.base,
        checks={
            health.INVENTORY: health.cached(inventory.check),
            health.BILLING: health.cached(billing.check),
            health.BROKER: lambda: health.check_publisher(publisher),
            health.STORE: health.cached(lambda: health.check_store(store)),
        },
        verdict=health.verdict,
        check_seconds=OUTER_CHECK_SECONDS,
    )
    init_access_log(app, access_log)
    init_token(app, settings.api_token)
    _init_refusals(app)
    app.register_blueprint(make_movies_blueprint(inventory))
    app.register_blueprint(make_billing_blueprint(OrderDesk(publisher, store), billing))
    app.register_blueprint(make_docs_blueprint())

    access_log.start()
    publisher.start()
    if not settings.base.candidate:
        # A candidate has a scratch volume, and never hands over orders that are another's.
        lease = Lease(settings.orders_directory / "forwarder.lock")
        Forwarder(store, publisher, lease, key_lifetime_seconds=KEY_LIFETIME_SECONDS).start()
    return app


def _init_refusals(app: Flask) -> None:
    """Answer what the front has refused here, with everything that other answers have: id, log, metrics."""

    @app.before_request
    def refuse() -> None:
        if refusal := request.environ.get(REFUSAL):
            raise refusal


def _broker_parameters(settings: Settings) -> ConnectionParameters:
    parameters = settings.broker.connection_parameters(
        settings.base.service_name, heartbeat=HEARTBEAT_SECONDS
    )
    parameters.tcp_options = {"TCP_USER_TIMEOUT": UNACKNOWLEDGED_MILLISECONDS}
    return parameters
