from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(ROOT.glob("requirements/*.in")) + sorted(ROOT.glob("srcs/*/requirements.in"))

# The others are tools; the tests do not pin those, nor the pip of a bundle.
SOURCES_TESTED = [ROOT / "requirements/control.in", *sorted(ROOT.glob("srcs/*/requirements.in"))]


def normalized(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(source: Path) -> list[str]:
    names = [
        re.match(r"[A-Za-z0-9._-]+", line) for line in source.read_text().splitlines() if line[:1] != "-"
    ]
    return [match[0] for match in names if match]


def pins(path: Path) -> dict[str, str]:
    return {
        normalized(name): version
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), flags=re.MULTILINE)
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_wanted_package_is_pinned(source: Path) -> None:
    # Each with its hash: the lint step `pins`.
    assert {normalized(name) for name in wanted(source)} <= set(pins(source.with_suffix(".txt")))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_wanted_package_is_explained(source: Path) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in wanted(source) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("source", SOURCES_TESTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_has_the_versions_that_the_tests_ran_with(source: Path) -> None:
    tested = pins(ROOT / "requirements" / "tests.txt")
    differing = {
        name: (version, tested.get(name))
        for name, version in pins(source.with_suffix(".txt")).items()
        if tested.get(name) != version
    }
    assert differing == {}
