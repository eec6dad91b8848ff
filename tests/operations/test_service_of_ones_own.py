"""The example of a service of one's own in docs/changing.md, as it is written there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.library.settings import ROOT
from tests.node.node import Node
from tests.operations.operator import Operator, copy_of_repository

pytestmark = pytest.mark.timeout(3600)

NAME = "greeting-app"
ASK = (
    "import json, urllib.request as r;"
    "print(r.urlopen('http://greeting-app:8080/api/greetings/Ada', timeout=20).read().decode())"
)


def section() -> str:
    text = (ROOT / "docs/changing.md").read_text()
    return text.split("## Add a service of your own\n")[1].split("\n## ")[0]


def block(language: str, containing: str) -> str:
    """Give the one code block of the section that contains a text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", section(), re.DOTALL)
    found = [block for block in blocks if containing in block]
    assert len(found) == 1, f"{len(found)} blocks of docs/changing.md contain {containing!r}"
    return found[0]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the repository with that example added to it."""
    root = copy_of_repository(tmp_path)
    commands = block("bash", "mkdir -p srcs/greeting-app").split("cd ../..")[0]
    subprocess.run(["bash", "-euc", commands], cwd=root, check=True)
    # What `make lock` would write needs the package index: the packages are among those of inventory-app.
    shutil.copy(root / "srcs/inventory-app/requirements.txt", root / f"srcs/{NAME}/requirements.txt")
    package = root / f"srcs/{NAME}/greeting_app"
    (package / "__main__.py").write_text(block("python", "serve_application"))
    (package / "wsgi.py").write_text(block("python", "make_app(__name__"))
    with (root / "ansible/group_vars/all/services.yml").open("a") as services:
        services.write("\n" + block("yaml", f"name: {NAME}"))
    return root


def test_it_is_built_started_hardened_reachable_updated_and_removed(
    operator: Operator, node: Node, repository: Path
) -> None:
    mine = Operator(repository)
    try:
        mine.run("site.yml", operate_service=NAME)
        container = node.inspect(NAME)[NAME]
        assert container["State"]["Health"]["Status"] == "healthy"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert container["Config"]["User"] == "10020:10020"
        assert "Hello, Ada." in node.run(f'docker exec inventory-app python -c "{ASK}"')
        assert "Hello, Ada." in node.run(
            'python3 -c "' + ASK.replace("greeting-app:8080", "127.0.0.1:8080") + '"'
        )
        assert mine.run("site.yml", operate_service=NAME).changes == []

        app = repository / f"srcs/{NAME}/greeting_app/wsgi.py"
        app.write_text(app.read_text().replace("Hello, ", "Good morning, "))
        mine.run("site.yml", operate_service=NAME)
        assert "Good morning, Ada." in node.run(f'docker exec inventory-app python -c "{ASK}"')
    finally:
        mine.run("ansible/remove.yml", operate_service=NAME, operate_volumes="yes", confirm="yes")
    assert NAME not in node.run("docker ps -a --format '{{.Names}}'").split()
    assert NAME not in node.run("docker images --format '{{.Repository}}'").split()
    assert operator.run("site.yml").changes == []
