"""The ASGI application, for granian's workers: the front, and behind it the Flask application."""

from api_gateway_app.app import create_app
from api_gateway_app.front.application import Front
from api_gateway_app.settings import Settings
from api_gateway_app.slow_clients import limit_stalled_clients_soon
from platform_common.settings import Environment

settings = Settings.read(Environment())
app = Front(create_app(settings), threads=settings.base.threads)
limit_stalled_clients_soon(settings.base.listen_port)
