"""The proxy in front of the Flask application: HAProxy, with haproxy.cfg."""

from __future__ import annotations

import ipaddress
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from api_gateway_app.access_log import AccessLog, start_reading
from api_gateway_app.proxy_control import (
    ProxyControl,
    start_telling_tokens,
    token_state,
    write_token_map,
)
from api_gateway_app.proxy_paths import paths
from api_gateway_app.settings import Settings
from platform_common.server import ChildProcess

CONFIGURATION: Final = Path(__file__).parent.parent / "haproxy.cfg"
# The places that HAProxy keeps for replicas; an app may have as many (the role flask_app).
MOST_REPLICAS: Final = 16


def proxy_environment(settings: Settings) -> dict[str, str]:
    """Return the values of haproxy.cfg."""
    where = paths()
    return {
        "LISTEN_PORT": str(settings.base.listen_port),
        "PROXY_METRICS_PORT": str(settings.proxy_metrics_port),
        "UPSTREAM_READ_SECONDS": str(settings.upstream_read_seconds),
        "NAME_SERVER": settings.name_server,
        "APP_SOCKET": str(where.application),
        "PROXY_SOCKET": str(where.control),
        "PROXY_LOG_SOCKET": str(where.log),
        "PROXY_TOKEN_MAP": str(where.token_map),
        **_upstream("INVENTORY", settings.inventory_service_url),
        **_upstream("BILLING", settings.billing_service_url),
    }


def make_proxy_process(settings: Settings) -> ChildProcess:
    """Return the proxy, to run beside the workers; what it logs and the token are seen to from now on."""
    where = paths()
    control = ProxyControl(where.control)
    start_reading(
        where.log,
        AccessLog(
            settings.access_log_directory,
            file_bytes=settings.access_log_file_bytes,
            files=settings.access_log_files,
        ),
    )
    state = token_state(settings.api_token)
    write_token_map(where.token_map, state)
    start_telling_tokens(control, settings.api_token, where.token_map, state)
    return ChildProcess(
        "haproxy",
        partial(_become_haproxy, proxy_environment(settings)),
        answers=control.answers,
        stop_signal=signal.SIGUSR1,
        serves_clients=True,
    )


def _become_haproxy(environment: Mapping[str, str]) -> None:
    os.execvpe(  # noqa: S606 (no shell)
        "haproxy",
        ["haproxy", "-db", "-q", "-f", str(CONFIGURATION)],
        {**os.environ, **environment},
    )


def _upstream(prefix: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
        replicas = 1
    except ValueError:
        replicas = MOST_REPLICAS
    return {
        f"{prefix}_ADDRESS": f"{host}:{parts.port or 80}",
        f"{prefix}_PREFIX": parts.path,
        f"{prefix}_REPLICAS": str(replicas),
    }
