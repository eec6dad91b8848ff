"""`python -m api_gateway_app serve`, and `… replicas` beside it."""

from platform_common.cli import run


def serve() -> int:
    """Serve the API until SIGTERM: the proxy takes the requests, the Flask application stands behind it."""
    from api_gateway_app.page.process import start_watching
    from api_gateway_app.page.traffic import Traffic
    from api_gateway_app.proxy import make_proxy_process
    from api_gateway_app.proxy_paths import paths
    from api_gateway_app.settings import Settings
    from platform_common.heartbeat import Heartbeat
    from platform_common.logs import configure_logging
    from platform_common.server import serve as serve_application
    from platform_common.settings import Environment

    settings = Settings.read(Environment())
    configure_logging(settings.base.service_name, settings.base.log_level)
    traffic = Traffic() if settings.page else None
    heartbeats: dict[str, Heartbeat] = {}
    if traffic is not None:
        heartbeats["the page's feed"] = Heartbeat()
        start_watching(settings, traffic, heartbeats["the page's feed"])
    return serve_application(
        "api_gateway_app.wsgi:app",
        settings.base,
        unix_socket=paths().application,
        child_processes=[make_proxy_process(settings, traffic)],
        heartbeats=heartbeats,
        preload=["api_gateway_app.app"],
    )


def replicas() -> int:
    """Print the replicas that the running proxy knows: app, address, state, requests so far."""
    from api_gateway_app.health import BILLING, INVENTORY
    from api_gateway_app.proxy_control import ProxyControl
    from api_gateway_app.proxy_paths import paths

    for app in (INVENTORY, BILLING):
        for replica in ProxyControl(paths().control).replicas(app):
            state = "up" if replica.is_up else f"down: {replica.reason}"
            print(f"{app:14} {replica.host:15} {replica.requests:8} requests  {state}")
    return 0


if __name__ == "__main__":
    run({"serve": serve, "replicas": replicas})
