"""The Postman collection is that of the document, and all its requests succeed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.openapi.conftest import Platform
from tests.openapi.postman import COLLECTION, make_collection
from tests.openapi.tools import run

pytestmark = pytest.mark.timeout(600)


def test_the_collection_is_what_the_document_makes() -> None:
    assert COLLECTION.read_text(encoding="utf-8") == make_collection(), "run make postman"


@pytest.mark.parametrize("deletes_all", [False, True])
def test_every_request_of_it_succeeds(platform: Platform, tmp_path: Path, deletes_all: bool) -> None:
    report = tmp_path / "report.json"
    variables = {
        "baseUrl": platform.url,
        "token": platform.token,
        "may_delete_all": "yes" if deletes_all else "no",
    }
    # It fails where a test of the collection does.
    run(
        *("newman", "run", COLLECTION, "--delay-request", "50"),
        *(word for name, value in variables.items() for word in ("--env-var", f"{name}={value}")),
        *("--reporters", "cli,json", "--reporter-json-export", report),
    )
    executions = json.loads(report.read_text())["run"]["executions"]
    answered = {each["item"]["name"] for each in executions if "response" in each}
    folders = json.loads(COLLECTION.read_text())["item"]
    requests = {item["name"] for folder in folders for item in folder["item"]}
    assert answered == (requests if deletes_all else requests - {"Delete all movies"})
