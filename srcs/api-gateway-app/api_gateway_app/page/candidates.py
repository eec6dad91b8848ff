"""Whether a deployment tries a new version of an app: then its candidate is on the network, unused."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from api_gateway_app.page.threads import in_thread

# The role `container` names it so (roles/container/tasks/candidate.yml).
_SUFFIX: Final = "-candidate"


def has_address(name: str) -> bool:
    """Say whether the network's name server knows a name."""
    try:
        return bool(socket.getaddrinfo(name, None, socket.AF_INET))
    except OSError:
        return False


class Candidates:
    """Looks for the candidates of some apps.

    Args:
        urls: the address of each app; one that has no name, but a number, has no candidate.
        is_there: says whether a name is known.
    """

    def __init__(self, urls: Mapping[str, str], is_there: Callable[[str], bool] = has_address) -> None:
        hosts = {app: urlsplit(url).hostname or "" for app, url in urls.items()}
        self._names = {app: host + _SUFFIX for app, host in hosts.items() if not _is_number(host)}
        self._is_there = is_there

    async def look(self) -> list[str]:
        """Return the apps that have a candidate."""
        found = await asyncio.gather(*(in_thread(self._is_there, name) for name in self._names.values()))
        return [app for app, is_there in zip(self._names, found, strict=True) if is_there]


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
