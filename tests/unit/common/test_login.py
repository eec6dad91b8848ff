"""A new login with each account of an app."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.library.apps import Broker, Database, base_environment
from tests.library.programs import attempt


def log_in(variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return attempt(sys.executable, "-m", "platform_common.login", env=base_environment() | dict(variables))


@pytest.fixture
def accounts(movies_database: Database, broker: Broker, tmp_path: Path) -> dict[str, str]:
    """An app's settings, for a database and a broker that both let it in."""
    password = Path(movies_database.app["SECRETS_DIRECTORY"], "database_password").read_text()
    (tmp_path / "database_password").write_text(password)
    (tmp_path / "rabbitmq_password").write_text(broker.passwords["billing-app"])
    return {**movies_database.app, **broker.variables, "SECRETS_DIRECTORY": str(tmp_path)}


def test_an_app_logs_in_at_its_database_and_at_the_broker(accounts: dict[str, str]) -> None:
    result = log_in(accounts)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


@pytest.mark.parametrize("password", ["not the right one", "x" * 5000])
@pytest.mark.parametrize("secret", ["database_password", "rabbitmq_password"])
def test_a_password_that_does_not_let_in_is_told_but_not_shown(
    accounts: dict[str, str], tmp_path: Path, secret: str, password: str
) -> None:
    (tmp_path / secret).write_text(password)
    result = log_in(accounts)
    assert result.returncode == 1, result.stderr
    assert result.stdout.startswith("127.0.0.1 does not let the app in: ")
    assert result.stdout.count("\n") == 1
    assert password not in result.stdout


def test_an_app_without_accounts_has_nothing_to_log_in_to() -> None:
    result = log_in({})
    assert (result.returncode, result.stdout) == (0, "")
