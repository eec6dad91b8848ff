"""What goes into an image is what its tag is a hash of: one build context serves all images."""

from __future__ import annotations

import re

import pytest
from tests.library.settings import ROOT

# The roles' container_build_paths, and the certificates that a build trusts.
FOLDERS = {"common": {"common", "${APP}", "certificates"}}


@pytest.mark.parametrize(
    "dockerfile", sorted(path.parent.name for path in (ROOT / "srcs").glob("*/Dockerfile"))
)
def test_a_dockerfile_copies_from_its_own_folders_only(dockerfile: str) -> None:
    text = (ROOT / "srcs" / dockerfile / "Dockerfile").read_text().replace("\\\n", " ")
    copied = [
        source
        for arguments in re.findall(r"^(?:COPY|ADD) (.*)$", text, re.MULTILINE)
        if "--from=" not in arguments
        for source in [word for word in arguments.split() if not word.startswith("--")][:-1]
    ]
    assert copied
    assert {source.partition("/")[0] for source in copied} <= FOLDERS.get(dockerfile, {dockerfile})
