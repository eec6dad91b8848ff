"""What reads openapi.yaml as its users do, and a platform without containers for the clients it makes."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.library.apps import make_broker, make_database, running_app
from tests.library.gateway import Gateway
from tests.library.servers import PostgreSQL, RabbitMQ
from tests.library.settings import ROOT

HERE: Final = Path(__file__).parent
DIRECTORY: Final = ROOT / ".cache/openapi"
PINNED: Final = (ROOT / "requirements/openapi.txt", HERE / "package.json", HERE / "package-lock.json")


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program among the installed ones; fail with all that it said if it fails."""
    variables = os.environ | {
        "PATH": f"{DIRECTORY}/bin:{DIRECTORY}/node_modules/.bin:{os.environ['PATH']}",
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        **(environment or {}),
    }
    done = subprocess.run(command, cwd=DIRECTORY, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Install Node.js, the npm packages and the generator of Python clients, if they are not there yet."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in PINNED)).hexdigest()
    stamp = DIRECTORY / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    requirements, *packages = PINNED
    run(sys.executable, "-m", "venv", DIRECTORY)
    run("pip", "install", "--quiet", "--require-hashes", "--requirement", requirements)
    for package in packages:
        shutil.copy(package, DIRECTORY)
    run("npm", "ci", "--no-audit", "--no-fund")
    stamp.write_text(digest)


@dataclass(frozen=True)
class Platform:
    """Where the gateway is, and the token that it asks for."""

    url: str
    token: str


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Run the three apps with real servers, as the unit tests do."""
    directory = tmp_path_factory.mktemp("platform")
    with ExitStack() as stack:
        postgresql, rabbitmq = PostgreSQL(), RabbitMQ()
        stack.callback(postgresql.destroy)
        stack.callback(rabbitmq.destroy)
        postgresql.create()
        rabbitmq.create()
        broker = make_broker(rabbitmq)
        movies, orders = (
            make_database(postgresql, name, tmp_path_factory.mktemp(name)) for name in ("movies", "orders")
        )
        movies.run_app("inventory_app", "migrate")
        orders.run_app("billing_app", "migrate")
        secret = Path(orders.app["SECRETS_DIRECTORY"]) / "rabbitmq_password"
        secret.write_text(broker.passwords["billing-app"])
        inventory = stack.enter_context(running_app("inventory_app", directory / "inventory", movies.app))
        billing = stack.enter_context(
            running_app("billing_app", directory / "billing", {**orders.app, **broker.variables})
        )
        gateway = Gateway(
            directory,
            rabbitmq,
            {
                "INVENTORY_SERVICE_URL": f"http://127.0.0.1:{inventory.port}",
                "BILLING_SERVICE_URL": f"http://127.0.0.1:{billing.port}",
            },
        )
        gateway.token_file.write_text(secrets.token_urlsafe())
        stack.callback(gateway.kill)
        gateway.start()
        gateway.wait_for_broker()
        yield Platform(f"http://127.0.0.1:{gateway.port}", gateway.token_file.read_text())
