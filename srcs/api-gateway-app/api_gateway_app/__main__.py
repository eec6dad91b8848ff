"""`python -m api_gateway_app serve`."""

from platform_common.cli import run


def serve() -> int:
    """Serve the API until SIGTERM."""
    from api_gateway_app.settings import Settings
    from platform_common.server import serve as serve_application
    from platform_common.settings import Environment

    settings = Settings.read(Environment())
    return serve_application("api_gateway_app.wsgi:app", settings.base, preload=["api_gateway_app.app"])


if __name__ == "__main__":
    run({"serve": serve})
