"""What the gateway can be told."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from platform_common.broker import BrokerSettings
from platform_common.settings import BaseSettings, Environment, SecretFile, SettingsError

# More than the other apps: most of a thread's time here is waiting for a confirm.
THREADS: Final = 32
# More than an app may need that finds its database hanging: to wait for a connection, make it, and ask.
UPSTREAM_READ_SECONDS: Final = 14
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Settings:
    """The gateway's settings; each comes from the environment variable of the same name.

    Attributes:
        base: what every app can be told.
        inventory_service_url: address of inventory-app.
        billing_service_url: address of billing-app.
        upstream_read_seconds: longest silence of an upstream before its caller gets a 504. More than the
            apps allow themselves, less than clients wait.
        name_server: who knows the addresses of the apps: HOST:PORT; empty: those of /etc/resolv.conf.
        broker: the broker; the gateway's account may write to the exchange and nothing else.
        orders_directory: volume for orders that the broker has not confirmed.
        orders_maximum_bytes: how large the file of those orders may become.
        keep_orders: whether an order that the broker has not confirmed is kept there; else it is refused.
        shared_idempotency_keys: whether billing-app compares idempotency keys, for several gateways.
        access_log_directory: volume for the access log.
        access_log_file_bytes: size at which a file of the access log is full.
        access_log_files: how many files are kept, the current one included.
        proxy_metrics_port: port of the proxy's own metrics, on all interfaces, never published.
        api_token: the secret file api_token, with what who changes something must present; empty: nothing.
        tls_port: port of HTTPS, on all interfaces; 0: there is none.
        tls_certificate: the secret file tls_certificate, with certificate, chain and key; None without HTTPS.
        rate_limit: most requests per second from one address; 0: no limit.
        cors_origins: origins whose pages may call the API in a browser.
        page: whether `/` is the platform's page.
        dead_letter_queue: the queue of what is no order; the page shows how many there are.
    """

    base: BaseSettings
    inventory_service_url: str
    billing_service_url: str
    upstream_read_seconds: int
    name_server: str
    broker: BrokerSettings
    orders_directory: Path
    orders_maximum_bytes: int
    keep_orders: bool
    shared_idempotency_keys: bool
    access_log_directory: Path
    access_log_file_bytes: int
    access_log_files: int
    proxy_metrics_port: int
    api_token: SecretFile
    tls_port: int
    tls_certificate: SecretFile | None
    rate_limit: int
    cors_origins: tuple[str, ...]
    page: bool
    dead_letter_queue: str

    @classmethod
    def read(cls, env: Environment) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: a variable is missing or malformed.
        """
        base = BaseSettings.read(env, listen_port=3000)
        tls_port = env.integer("TLS_PORT", 0, 0, 65535)
        return cls(
            base=replace(base, threads=env.integer("THREADS", THREADS, 1, 256)),
            inventory_service_url=env.url("INVENTORY_SERVICE_URL"),
            billing_service_url=env.url("BILLING_SERVICE_URL", "http://billing-app:8080"),
            upstream_read_seconds=env.integer("UPSTREAM_READ_SECONDS", UPSTREAM_READ_SECONDS, 1, 300),
            name_server=env.text("NAME_SERVER", ""),
            broker=BrokerSettings.read(env),
            orders_directory=env.directory("ORDERS_DIRECTORY", "/var/lib/api-gateway-orders", writable=True),
            orders_maximum_bytes=env.integer("ORDERS_MAXIMUM_BYTES", 1 << 30, 1 << 16),
            keep_orders=env.boolean("KEEP_ORDERS", True),
            shared_idempotency_keys=env.boolean("SHARED_IDEMPOTENCY_KEYS", False),
            access_log_directory=env.directory("ACCESS_LOG_DIRECTORY", "/var/log/api-gateway", writable=True),
            access_log_file_bytes=env.integer("ACCESS_LOG_FILE_BYTES", 10_000_000, 1000),
            access_log_files=env.integer("ACCESS_LOG_FILES", 5, 1, 1000),
            proxy_metrics_port=env.integer("PROXY_METRICS_PORT", 9091, 1, 65535),
            api_token=env.secret_file("api_token", may_be_empty=True),
            tls_port=tls_port,
            tls_certificate=_certificate(env.secret_file("tls_certificate")) if tls_port else None,
            rate_limit=env.integer("RATE_LIMIT", 0, 0, 100_000),
            cors_origins=_origins(env.text("CORS_ORIGINS", "")),
            page=env.boolean("PAGE", True),
            dead_letter_queue=env.text("BILLING_DEAD_LETTER_QUEUE", "billing_dead_letter"),
        )


def _certificate(file: SecretFile) -> SecretFile:
    """Return `file` if a server can use it, as HAProxy says less clearly."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file.path, password=lambda: "")
    except ssl.SSLError as error:
        raise SettingsError(
            f"The secret file {file.path} holds no certificate with its key ({error.reason}): it must "
            "hold, as PEM, the certificate, its chain, and the private key without a passphrase."
        ) from error
    return file


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.split())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"The environment variable CORS_ORIGINS holds {origin!r}: it must hold origins such as "
                "https://shop.example, with spaces between."
            )
    return origins
