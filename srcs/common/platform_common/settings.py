"""Settings: environment variables for what is no secret, files for secrets.

An app reads its settings once, at start. What is missing or malformed raises `SettingsError`
with one sentence that names the variable or file and what it must hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is missing or malformed; the text is a whole sentence for the operator."""


class _Required:
    """The type of the default that means: there is no default."""


_REQUIRED: Final = _Required()
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_LOG_LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical"})


@dataclass(frozen=True)
class SecretFile:
    """A secret that lies in a file and may be replaced while the app runs."""

    path: Path

    def read(self, *, may_be_empty: bool = False) -> str:
        """Return what the file holds now, without its final newline.

        Args:
            may_be_empty: the secret may be left out.

        Raises:
            SettingsError: the file cannot be read, is not UTF-8, or is empty although it may not be.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(
                f"The secret file {self.path} cannot be read ({reason}): it must hold the secret in UTF-8."
            ) from error
        secret = text.removesuffix("\n").removesuffix("\r")
        if not secret and not may_be_empty:
            raise SettingsError(f"The secret file {self.path} is empty: it must hold the secret.")
        return secret


class Environment:
    """Typed access to environment variables. An empty variable counts as a missing one.

    Every method takes the variable's name and raises `SettingsError` naming it when the value
    is missing (and there is no default) or malformed.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self._mapping = os.environ if mapping is None else mapping

    def text(self, name: str, default: str | _Required = _REQUIRED) -> str:
        """Return the variable as text."""
        value = self._mapping.get(name, "")
        if value:
            return value
        if isinstance(default, _Required):
            raise SettingsError(f"The environment variable {name} is missing: it must hold a text.")
        return default

    def integer(
        self,
        name: str,
        default: int | _Required = _REQUIRED,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int:
        """Return the variable as a whole number from `minimum` to `maximum`, both included."""
        wanted = _describe_range(minimum, maximum)
        value = self._mapping.get(name, "")
        if not value:
            if isinstance(default, _Required):
                raise SettingsError(f"The environment variable {name} is missing: it must hold {wanted}.")
            return default
        try:
            number = int(value)
        except ValueError as error:
            raise SettingsError(
                f"The environment variable {name} is {value!r}: it must hold {wanted}."
            ) from error
        if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
            raise SettingsError(f"The environment variable {name} is {number}: it must hold {wanted}.")
        return number

    def boolean(self, name: str, default: bool = False) -> bool:
        """Return the variable as a truth value: true/yes/on/1 or false/no/off/0, in any case."""
        value = self._mapping.get(name, "").lower()
        if not value:
            return default
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise SettingsError(f"The environment variable {name} is {value!r}: it must hold true or false.")

    def url(self, name: str, default: str | _Required = _REQUIRED) -> str:
        """Return the variable as an http or https address without a trailing slash."""
        value = self.text(name, default)
        wanted = "an address such as http://host:8080"
        try:
            parts = urlsplit(value)
            port_is_valid = parts.port is None or parts.port > 0
        except ValueError as error:
            raise SettingsError(
                f"The environment variable {name} is {value!r}: it must hold {wanted}."
            ) from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
            raise SettingsError(f"The environment variable {name} is {value!r}: it must hold {wanted}.")
        if parts.query or parts.fragment or parts.username is not None:
            raise SettingsError(
                f"The environment variable {name} must hold {wanted}, without user, query or fragment."
            )
        return value.rstrip("/")

    def directory(self, name: str, default: str | _Required = _REQUIRED, *, writable: bool = False) -> Path:
        """Return the variable as the path of a directory that exists (and can be written to)."""
        path = Path(self.text(name, default))
        if not path.is_dir():
            raise SettingsError(
                f"The environment variable {name} is {str(path)!r}: it must hold the path of a directory."
            )
        if writable and not os.access(path, os.W_OK | os.X_OK):
            raise SettingsError(
                f"The environment variable {name} is {str(path)!r}: "
                f"it must hold the path of a directory that user {os.getuid()} can write to."
            )
        return path

    def secret_file(self, name: str, *, may_be_empty: bool = False) -> SecretFile:
        """Return the secret called `name` in SECRETS_DIRECTORY; it must be readable now."""
        secret = SecretFile(self.directory("SECRETS_DIRECTORY", "/run/secrets") / name)
        secret.read(may_be_empty=may_be_empty)
        return secret


@dataclass(frozen=True)
class BaseSettings:
    """What every app can be told.

    Attributes:
        service_name: the name in logs and metrics.
        listen_port: port of the HTTP API, on all interfaces.
        metrics_port: port of the Prometheus metrics, on all interfaces, never published.
        workers: HTTP worker processes.
        threads: threads that run Flask in each worker.
        log_level: debug, info, warning, error or critical.
        candidate: this instance is only tried out: it checks its dependencies but changes nothing.
        drain_seconds: how long to go on serving after SIGTERM.
        hang_seconds: a process of the app that stands still for so long is killed.
    """

    service_name: str
    listen_port: int
    metrics_port: int
    workers: int
    threads: int
    log_level: str
    candidate: bool
    drain_seconds: int
    hang_seconds: int = 30

    @classmethod
    def read(cls, env: Environment, *, listen_port: int = 8080) -> BaseSettings:
        """Read the shared settings. An app's own settings hold these in a field.

        Args:
            env: where to read from.
            listen_port: the port where LISTEN_PORT says nothing.

        Raises:
            SettingsError: a variable is missing or malformed.
        """
        log_level = env.text("LOG_LEVEL", "info").lower()
        if log_level not in _LOG_LEVELS:
            raise SettingsError(
                f"The environment variable LOG_LEVEL is {log_level!r}: it must hold one of "
                f"{', '.join(sorted(_LOG_LEVELS))}."
            )
        return cls(
            service_name=env.text("SERVICE_NAME"),
            listen_port=env.integer("LISTEN_PORT", listen_port, 1, 65535),
            metrics_port=env.integer("METRICS_PORT", 9090, 1, 65535),
            workers=env.integer("WORKERS", 1, 1, 64),
            threads=env.integer("THREADS", 8, 1, 256),
            log_level=log_level,
            candidate=env.boolean("CANDIDATE"),
            drain_seconds=env.integer("DRAIN_SECONDS", 5, 0, 300),
            hang_seconds=env.integer("HANG_SECONDS", 30, 3, 3600),
        )


def _describe_range(minimum: int | None, maximum: int | None) -> str:
    if minimum is not None and maximum is not None:
        return f"a whole number from {minimum} to {maximum}"
    if minimum is not None:
        return f"a whole number of at least {minimum}"
    if maximum is not None:
        return f"a whole number of at most {maximum}"
    return "a whole number"
