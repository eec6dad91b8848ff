"""The WSGI application, for granian's workers."""

from api_gateway_app.app import create_app
from api_gateway_app.settings import Settings
from platform_common.settings import Environment

app = create_app(Settings.read(Environment()))
