"""`python -m api_gateway_app serve`."""

from typing import Final

from platform_common.cli import run

# Of each worker. A connection takes up to three times `server.HEAD_BYTES` of memory and one descriptor;
# a client that only connects, and says nothing, may hold it for `server.HEADER_SECONDS`.
CONNECTIONS: Final = 1536


def serve() -> int:
    """Serve the API until SIGTERM."""
    from granian.constants import Interfaces

    from api_gateway_app.settings import Settings
    from platform_common.server import serve as serve_application
    from platform_common.settings import Environment

    settings = Settings.read(Environment())
    return serve_application(
        "api_gateway_app.asgi:app",
        settings.base,
        interface=Interfaces.ASGINL,
        connections=CONNECTIONS,
        preload=["api_gateway_app.app", "api_gateway_app.front.application"],
    )


if __name__ == "__main__":
    run({"serve": serve})
