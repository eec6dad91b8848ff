"""What is asked of the running proxy, at its control socket (HAProxy's management guide, section 9.3)."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ANSWER_SECONDS: Final = 2.0


class ProxyControl:
    """The control socket at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str) -> str:
        """Return what the proxy answers to `command`.

        Raises:
            OSError: it does not answer.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(self._path))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def answers(self) -> bool:
        """Say whether the proxy does its rounds."""
        try:
            return "HAProxy" in self.ask("show info")
        except OSError:
            return False

    def replicas(self, app: str) -> list[Replica]:
        """Return the replicas that are known of `app`.

        Raises:
            OSError: the proxy does not answer.
        """
        rows = csv.DictReader(io.StringIO(self.ask(f"show stat {app} 4 -1").removeprefix("# ")))
        # Those in maintenance are places for more replicas: they have no address.
        return [Replica(row) for row in rows if not row["status"].startswith("MAINT")]

    def check_upstream(self, app: str) -> Mapping[str, Any]:
        """Say whether `app` has a replica that is ready, for /health/ready."""
        try:
            replicas = self.replicas(app)
        except OSError as error:
            return {"status": "down", "reason": f"the proxy does not answer: {error}"}
        if any(replica.is_up for replica in replicas):
            return {"status": "up"}
        reasons = sorted({replica.reason for replica in replicas})
        return {"status": "down", "reason": "; ".join(reasons) or "its name has no address on the network"}


class Replica:
    """One replica of an app, from a row of HAProxy's statistics (management guide, section 9.1).

    Attributes:
        address: its address and port.
        host: its address.
        requests: how many it has got.
        was_asked: whether a check has ended.
        is_up: whether it gets requests.
        reason: what its last check found.
    """

    def __init__(self, row: Mapping[str, str]) -> None:
        self.address = row["addr"]
        self.host = self.address.rpartition(":")[0]
        self.requests = int(row["stot"])
        self.was_asked = row["check_status"] not in {"", "INI"}
        # At its start HAProxy counts a server as up until its first check has ended.
        self.is_up = row["status"].startswith("UP") and row["check_status"] != "INI"
        self.reason = _reason(row)


def _reason(row: Mapping[str, str]) -> str:
    if row["check_status"] in {"", "INI"}:
        return "it has not been asked yet"
    if row["check_code"]:
        return f"it answers {row['check_code']}"
    return f"it cannot be reached over the network: {row['check_desc']}"
