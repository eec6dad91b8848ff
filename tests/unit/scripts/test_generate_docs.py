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


def test_each_variable_is_a_row_with_its_type_default_and_description(roles: Path) -> None:
    assert generate(roles) == 0
    assert "| `shop_name` | str |  | yes | One \\| two, three. |" in page(roles)
    assert '| `shop_hours` | str | `""` | no | When it is open. One of: `""`, `day`. |' in page(roles)
    assert "| `shop_goods` | list of dict | `[]` | no | What it sells. |" in page(roles)
    assert "| `shop_goods[].price` | int |  | yes | In cents. |" in page(roles)


def test_roles_and_variables_are_in_the_order_of_the_alphabet(roles: Path) -> None:
    generate(roles)
    words = ["## bakery", "`bakery_goods`", "`bakery_hours`", "`bakery_name`", "## shop", "`shop_goods`"]
    places = [page(roles).index(word) for word in words]
    assert places == sorted(places)


def test_the_roles_description_is_markdown(roles: Path) -> None:
    generate(roles)
    assert "A shop.\n\nSells `things`.\n\nCloses at night.\n" in page(roles)


def test_other_entry_points_have_a_heading_of_their_own(roles: Path) -> None:
    generate(roles)
    assert "### tasks_from: inventory\n\nCount.\n\nIt has no variables.\n" in page(roles)


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
