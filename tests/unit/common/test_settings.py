"""Settings: what is wrong is named in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.library.apps import base_environment
from tests.library.programs import attempt

from platform_common.settings import BaseSettings, Environment, SettingsError


def test_only_the_name_is_required() -> None:
    assert BaseSettings.read(Environment({"SERVICE_NAME": "s"})) == BaseSettings(
        service_name="s",
        listen_port=8080,
        metrics_port=9090,
        workers=1,
        threads=8,
        log_level="info",
        candidate=False,
        drain_seconds=5,
        hang_seconds=30,
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ["SERVICE_NAME", "missing"]),
        ({"SERVICE_NAME": ""}, ["SERVICE_NAME", "missing"]),
        ({"LISTEN_PORT": "x"}, ["LISTEN_PORT", "'x'", "from 1 to 65535"]),
        ({"LISTEN_PORT": "0"}, ["LISTEN_PORT", "from 1 to 65535"]),
        ({"METRICS_PORT": "65536"}, ["METRICS_PORT", "from 1 to 65535"]),
        ({"WORKERS": "1.5"}, ["WORKERS", "whole number"]),
        ({"LOG_LEVEL": "loud"}, ["LOG_LEVEL", "'loud'", "debug"]),
        ({"CANDIDATE": "maybe"}, ["CANDIDATE", "true or false"]),
    ],
)
def test_a_wrong_variable_is_named_with_what_it_must_hold(
    variables: dict[str, str], words: list[str]
) -> None:
    complete = {"SERVICE_NAME": "s", **variables} if variables else {}
    with pytest.raises(SettingsError) as error:
        BaseSettings.read(Environment(complete))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("1", True), ("off", False), ("", False)]
)
def test_truth_has_several_names(text: str, value: bool) -> None:
    assert Environment({"X": text}).boolean("X") is value


@pytest.mark.parametrize("url", ["http://host:8080", "http://host:8080/", "https://host/base/"])
def test_an_address_comes_without_its_final_slash(url: str) -> None:
    assert Environment({"X": url}).url("X") == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["host:8080", "ftp://host", "http://", "http://host:99999", "http://u:p@host", "http://host?x=1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="X"):
        Environment({"X": url}).url("X")


def test_a_secret_is_read_again_at_each_call_without_its_final_newline(tmp_path: Path) -> None:
    (tmp_path / "word").write_text(" first \n")
    secret = Environment({"SECRETS_DIRECTORY": str(tmp_path)}).secret_file("word")
    assert secret.read() == " first "
    (tmp_path / "new").write_text("second")
    (tmp_path / "new").rename(tmp_path / "word")
    assert secret.read() == "second"


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (missing, "cannot be read"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_text("\n"), "is empty"),
        (lambda path: path.write_bytes(b"\xff"), "UTF-8"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
    ids=["missing", "empty", "newline", "binary", "directory"],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, make: Callable[[Path], None], word: str
) -> None:
    make(tmp_path / "word")
    with pytest.raises(SettingsError) as error:
        Environment({"SECRETS_DIRECTORY": str(tmp_path)}).secret_file("word")
    assert str(tmp_path / "word") in str(error.value)
    assert word in str(error.value)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="X"):
        Environment({"X": str(tmp_path / "no")}).directory("X")
    assert Environment({"X": str(tmp_path)}).directory("X", writable=True) == tmp_path


@pytest.mark.parametrize("package", ["inventory_app", "billing_app"])
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_an_app_that_lacks_a_setting_ends_with_one_sentence_and_78(package: str, command: str) -> None:
    result = attempt(sys.executable, "-m", package, command, env=base_environment() | {"SERVICE_NAME": "s"})
    assert (result.returncode, result.stdout) == (78, "")
    [line] = result.stderr.splitlines()
    assert "DATABASE_HOST" in line


def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    result = attempt(sys.executable, "-m", "inventory_app", "destroy", env=base_environment())
    assert result.returncode == 64
    assert "migrate | serve" in result.stderr
