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
from api_gateway_app.page.traffic import Traffic
from api_gateway_app.proxy_control import ProxyControl
from api_gateway_app.proxy_paths import paths
from api_gateway_app.proxy_updates import CertificateUpdate, TokenUpdate, Update, start_telling
from api_gateway_app.settings import Settings
from platform_common.server import ChildProcess

CONFIGURATION: Final = Path(__file__).parent.parent / "haproxy.cfg"
# The places that HAProxy keeps for replicas; an app may have as many (the role flask_app).
MOST_REPLICAS: Final = 16


def proxy_environment(settings: Settings, log: str) -> dict[str, str]:
    """Return the values of haproxy.cfg; `log` is the address to which HAProxy sends its log."""
    where = paths()
    return {
        "LISTEN_PORT": str(settings.base.listen_port),
        "PROXY_METRICS_PORT": str(settings.proxy_metrics_port),
        "UPSTREAM_READ_SECONDS": str(settings.upstream_read_seconds),
        "APP_SOCKET": str(where.application),
        "PROXY_SOCKET": str(where.control),
        "PROXY_LOG": log,
        "PROXY_TOKEN_MAP": str(where.token_map),
        **_upstream("INVENTORY", settings.inventory_service_url),
        **_upstream("BILLING", settings.billing_service_url),
        **_options(settings),
    }


def make_proxy_process(settings: Settings, traffic: Traffic | None) -> ChildProcess:
    """Return the proxy, to run beside the workers. Its log and what it must be told are seen to.

    Args:
        settings: what the gateway was told.
        traffic: counts the requests for the page; None if there is no page.
    """
    where = paths()
    control = ProxyControl(where.control)
    log = start_reading(
        AccessLog(
            settings.access_log_directory,
            file_bytes=settings.access_log_file_bytes,
            files=settings.access_log_files,
        ),
        traffic.note if traffic is not None else None,
    )
    updates: list[Update] = [TokenUpdate(settings.api_token, where.token_map)]
    if settings.tls_certificate:
        updates.append(CertificateUpdate(settings.tls_certificate))
    start_telling(control, updates)
    return ChildProcess(
        "haproxy",
        partial(_become_haproxy, proxy_environment(settings, log)),
        answers=control.answers,
        stop_signal=signal.SIGUSR1,
        serves_clients=True,
    )


def _become_haproxy(environment: Mapping[str, str]) -> None:
    os.execvpe(  # noqa: S606 (no shell)
        "haproxy",
        ["haproxy", "-db", "-q", "-f", str(CONFIGURATION)],
        # Nothing else: haproxy.cfg asks whether a variable is there.
        {"PATH": os.environ["PATH"], **environment},
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


def _options(settings: Settings) -> dict[str, str]:
    """Return the values of what may be off: haproxy.cfg leaves out what has none."""
    options: dict[str, str] = {}
    if settings.name_server:
        options["NAME_SERVER"] = settings.name_server
    if settings.tls_certificate:
        options |= {"TLS_PORT": str(settings.tls_port), "TLS_CERTIFICATE": str(settings.tls_certificate.path)}
    if settings.rate_limit:
        options["RATE_LIMIT"] = str(settings.rate_limit)
    if settings.cors_origins:
        options["CORS_ORIGINS"] = " ".join(settings.cors_origins)
    if settings.shared_idempotency_keys:
        options["BILLING_SOCKET"] = str(paths().billing)
    if settings.page:
        options["FEED_SOCKET"] = str(paths().feed)
    return options
