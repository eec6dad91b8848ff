"""What the running proxy is told when its file has changed: the API token, and the certificate."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from api_gateway_app.proxy_control import ProxyControl
from platform_common.settings import SecretFile, SettingsError

ROUND_SECONDS: Final = 0.5
OPEN: Final = "none"
UNREADABLE: Final = "unreadable"
_logger = logging.getLogger(__name__)


class Update(Protocol):
    """Something that the proxy has to know, and that changes."""

    name: str
    known: str
    """What the proxy has been told."""

    def now(self) -> str:
        """Return what the proxy should know."""

    def commands(self, now: str) -> list[tuple[str, str]]:
        """Return commands that tell it, each with how the proxy's answer begins if it agrees."""


class TokenUpdate:
    """The token, as haproxy.cfg compares it: its SHA-256 in hexadecimal digits, or a word.

    Args:
        token: the file that may change.
        map_path: the file that the proxy starts with, which is the map's name too; written here.
    """

    name = "token"

    def __init__(self, token: SecretFile, map_path: Path) -> None:
        self._token = token
        self._map_path = map_path
        self.known = self.now()
        map_path.write_text(f"token {self.known}\n")

    def now(self) -> str:
        """Return the state of the token."""
        try:
            text = self._token.read(may_be_empty=True)
        except SettingsError as error:
            _logger.error("No request that changes something can be let through: %s", error)
            return UNREADABLE
        return hashlib.sha256(text.encode()).hexdigest().upper() if text else OPEN

    def commands(self, now: str) -> list[tuple[str, str]]:
        """Return the command that sets it."""
        return [(f"set map {self._map_path} token {now}", "\n")]


class CertificateUpdate:
    """The certificate with its chain and key, as PEM.

    Connections that are open keep the one they began with.
    """

    name = "certificate"

    def __init__(self, certificate: SecretFile) -> None:
        self._certificate = certificate
        self.known = certificate.read()

    def now(self) -> str:
        """Return the file's content; what cannot be read changes nothing."""
        try:
            return self._certificate.read()
        except SettingsError as error:
            _logger.error("The certificate stays as it was: %s", error)
            return self.known

    def commands(self, now: str) -> list[tuple[str, str]]:
        """Return the commands that replace it; an empty line ends what is sent."""
        path = self._certificate.path
        lines = "\n".join(line for line in now.splitlines() if line.strip())
        return [
            (f"set ssl cert {path} <<\n{lines}\n", "Transaction "),
            (f"commit ssl cert {path}", "Committing "),
        ]


def start_telling(control: ProxyControl, updates: Sequence[Update]) -> None:
    """Tell the proxy each change from a thread, until it takes it."""

    def run() -> None:
        while True:
            time.sleep(ROUND_SECONDS)
            for update in updates:
                if (now := update.now()) == update.known:
                    continue
                if refusal := _refusal(control, update.commands(now)):
                    _logger.error(
                        "The proxy does not take the new %s, trying again: %s", update.name, refusal
                    )
                else:
                    update.known = now
                    _logger.info("The proxy has the new %s", update.name)

    threading.Thread(target=run, name="updates of the proxy", daemon=True).start()


def _refusal(control: ProxyControl, commands: Sequence[tuple[str, str]]) -> str:
    for command, agreement in commands:
        try:
            answer = control.ask(command)
        except OSError as error:
            return str(error)
        if not answer.startswith(agreement):
            return answer.strip()
    return ""
