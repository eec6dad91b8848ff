"""The WSGI application, for granian's workers."""

from billing_app.app import create_app
from billing_app.process import consumer_state
from billing_app.settings import Settings
from platform_common.settings import Environment

app = create_app(Settings.read(Environment()), consumer_state)
