from __future__ import annotations

from pathlib import Path

import pytest

import generate_docs

SPECS = """\
argument_specs:
  main:
    short_description: A shop
    description:
      - Sells C(things).
      - Closes at night.
    options:
      shop_name: {type: str, required: true, description: "One | two,\\n  three."}
      shop_hours: {type: str, default: "", choices: ["", day], description: When it is open.}
      shop_goods:
        type: list
        elements: dict
        default: []
        description: What it sells.
        options:
          price: {type: int, required: true, description: In cents.}
  inventory:
    short_description: Count
"""


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    for name in ("shop", "bakery"):
        path = tmp_path / "roles" / name / "meta" / "argument_specs.yml"
        path.parent.mkdir(parents=True)
        path.write_text(SPECS.replace("shop", name))
    return tmp_path / "roles"


def generate(roles: Path, *arguments: str) -> int:
    return generate_docs.main(
        ["--roles", str(roles), "--output", str(roles.parent / "docs" / "v.md"), *arguments]
    )


def page(roles: Path) -> str:
    return (roles.parent / "docs" / "v.md").read_text()


def test_the_same_roles_give_the_same_page(roles: Path) -> None:
    generate(roles)
    first = page(roles)
    generate(roles)
    assert page(roles) == first
    assert generate(roles, "--check") == 0


def test_check_fails_on_an_outdated_page_with_the_command_to_run(
    roles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(roles)
    before = page(roles)
    specs = roles / "shop" / "meta" / "argument_specs.yml"
    specs.write_text(specs.read_text().replace("In cents", "In euros"))
    assert generate(roles, "--check") == 1
    assert generate_docs.COMMAND in capsys.readouterr().err
    assert page(roles) == before


def test_check_fails_where_there_is_no_page_yet(roles: Path) -> None:
    assert generate(roles, "--check") == 1
    assert not (roles.parent / "docs").exists()


def test_a_role_without_specs_is_named(roles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (roles / "empty").mkdir()
    assert generate(roles) == 1
    assert "empty: meta/argument_specs.yml is missing" in capsys.readouterr().err
