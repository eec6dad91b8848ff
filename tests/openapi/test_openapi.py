"""openapi.yaml does for others what it does for us: a second linter, ajv, and two generators of clients."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.library.document_values import (
    LEFT_TO_THE_SERVER,
    Body,
    amounts,
    bodies,
    bodies_left_to_the_server,
    server_takes,
    with_values,
)
from tests.library.settings import ROOT
from tests.openapi.conftest import Platform
from tests.openapi.tools import DIRECTORY, HERE, run

from api_gateway_app.docs import load_openapi

pytestmark = pytest.mark.timeout(600)  # The first time, 150 MB of programs are installed.
DOCUMENT: Final = ROOT / "srcs/api-gateway-app/openapi.yaml"


def test_redocly_finds_nothing_to_recommend() -> None:
    # By its exit code alone, warnings are nothing.
    found = json.loads(run("redocly", "lint", "--extends=recommended", "--format=json", DOCUMENT))
    assert found["problems"] == []


def test_ajv_says_of_every_body_what_the_server_says(tmp_path: Path) -> None:
    compared = [*bodies(), *(with_values("NewOrder", {"total_amount": amount}) for amount in amounts())]
    left = [body for reason in LEFT_TO_THE_SERVER for body in bodies_left_to_the_server(reason)]
    verdicts = ajv([*compared, *left], tmp_path)
    different = [body for body in compared if verdicts[body] != server_takes(body)]
    assert different == []
    assert [body for body in left if not verdicts[body]] == [], "the document can tell"


def ajv(what: list[Body], directory: Path) -> dict[Body, bool]:
    """Return what ajv says of each body."""
    task = directory / "task.json"
    task.write_text(json.dumps({"document": load_openapi(), "bodies": what}))
    shutil.copy(HERE / "validate.mjs", DIRECTORY)
    return dict(zip(what, json.loads(run("node", "validate.mjs", task)), strict=True))


def test_a_generated_python_client_is_typed_and_does_what_it_says(platform: Platform, tmp_path: Path) -> None:
    client = tmp_path / "generated_client"
    run(
        *("openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
        *("--path", DOCUMENT, "--output-path", client),
    )
    script = shutil.copy(HERE / "use_client.py", tmp_path)
    environment = {"PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)}
    mypy = Path(sys.executable).parent / "mypy"
    run(
        *(mypy, "--config-file=", "--strict", "--python-executable", DIRECTORY / "bin/python", script),
        environment=environment,
    )
    assert run("python", script, platform.url, platform.token, environment=environment) == "done\n"


def test_a_generated_typescript_client_is_typed_and_does_what_it_says(platform: Platform) -> None:
    run("openapi-typescript", DOCUMENT, "--output", DIRECTORY / "schema.d.ts")
    for name in ("use_client.ts", "tsconfig.json"):
        shutil.copy(HERE / name, DIRECTORY)
    run("tsc", "--project", "tsconfig.json")
    assert run("node", "use_client.ts", platform.url, platform.token) == "done\n"
