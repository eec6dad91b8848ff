"""What `make fuzz` does, as a test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.library.api import Api
from tests.library.settings import ROOT

SECONDS = int(os.environ.get("FUZZ_SECONDS") or 90)


@pytest.mark.destructive
@pytest.mark.timeout(SECONDS + 180)
def test_the_api_does_what_its_openapi_document_says_whatever_it_is_sent(api: Api, platform_url: str) -> None:
    calls = [
        (path, method)
        for path, item in api.get("/openapi.json").json()["paths"].items()
        for method in item.keys() - {"parameters"}
    ]
    command = [sys.executable, "scripts/fuzz.py", "--url", platform_url, "--seconds", str(SECONDS)]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Tested: {len(calls)}" in run.stdout, "every call of the document was tried"
