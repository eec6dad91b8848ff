from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from check_argument_specs import problems

GOOD_OPTIONS: dict[str, Any] = {
    "shop_port": {"type": "int", "default": 80, "description": "Port."},
    "shop_name": {"type": "str", "required": True, "description": "Name."},
}


def make_role(
    roles: Path,
    options: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
) -> Path:
    specs = {"main": {"short_description": "A shop", "options": GOOD_OPTIONS if options is None else options}}
    for name, content in {
        "meta/argument_specs.yml": {"argument_specs": specs},
        "defaults/main.yml": {"shop_port": 80} if defaults is None else defaults,
        "vars/main.yml": variables or {},
    }.items():
        path = roles / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return roles


def option(**changes: Any) -> dict[str, Any]:
    spec = {"type": "int", "default": 80, "description": "Port."} | changes
    return {"shop_port": {key: value for key, value in spec.items() if value is not None}}


def test_a_role_whose_specs_and_defaults_tell_the_same_is_right(tmp_path: Path) -> None:
    assert problems(make_role(tmp_path)) == []


def test_no_roles_are_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "roles") == []


def test_a_role_without_specs_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert problems(tmp_path) == [
        "shop: meta/argument_specs.yml is missing; describe the role's variables in it."
    ]


@pytest.mark.parametrize(
    "content", ["", "a: [", "- a", "argument_specs: {other: {}}", "argument_specs: {main: 3}"]
)
def test_specs_of_another_shape_are_named(tmp_path: Path, content: str) -> None:
    make_role(tmp_path)
    (tmp_path / "shop/meta/argument_specs.yml").write_text(content)
    [sentence] = problems(tmp_path)
    assert sentence.startswith("shop: ")
    assert "argument_specs" in sentence


@pytest.mark.parametrize(
    ("options", "defaults", "expected"),
    [
        (option(default=81), {"shop_port": 80}, "shop_port is 80 in defaults/main.yml and 81 in"),
        (option(default=True), {"shop_port": 1}, "is no int"),
        (option(default="80"), {"shop_port": "80"}, "is no int"),
        (option(type="bool", default=True), {"shop_port": 1}, "shop_port is 1 in defaults"),
        (option(default=None), {"shop_port": 80}, "without a default in meta/argument_specs.yml"),
        (option(), {}, "shop_port is optional and not in defaults/main.yml"),
        (
            option(required=True, default=None),
            {"shop_port": 80},
            "is required and stands in defaults/main.yml",
        ),
        (option(required=True), {}, "is required and has a default"),
        (option(), {"shop_port": 80, "shop_x": 1}, "shop_x stands in defaults/main.yml and not in"),
        (option(type=None), {"shop_port": 80}, "needs a type, a description and, for a list, elements"),
        (
            option(description=None),
            {"shop_port": 80},
            "needs a type, a description and, for a list, elements",
        ),
        (
            option(type="list", default=[]),
            {"shop_port": []},
            "needs a type, a description and, for a list, elements",
        ),
    ],
)
def test_each_difference_is_told(
    tmp_path: Path, options: dict[str, Any], defaults: dict[str, Any], expected: str
) -> None:
    found = problems(make_role(tmp_path, options, defaults))
    assert any(expected in sentence for sentence in found), found


def test_the_keys_of_a_dictionary_are_described_too(tmp_path: Path) -> None:
    nested = {"type": "list", "elements": "dict", "default": [], "description": "Goods."}
    options = {"shop_goods": nested | {"options": {"price": {"type": "int"}}}}
    [sentence] = problems(make_role(tmp_path, options, {"shop_goods": []}))
    assert "shop_goods.price needs a type, a description" in sentence


def test_a_template_is_a_default_of_any_type(tmp_path: Path) -> None:
    template = "{{ ansible_facts.processor_vcpus }}"
    assert problems(make_role(tmp_path, option(default=template), {"shop_port": template})) == []


def test_two_entry_points_may_not_describe_a_variable_differently(tmp_path: Path) -> None:
    make_role(tmp_path)
    path = tmp_path / "shop/meta/argument_specs.yml"
    specs = yaml.safe_load(path.read_text())
    specs["argument_specs"]["open"] = {"options": option(description="Another.")}
    path.write_text(yaml.safe_dump(specs))
    assert any("shop_port is described in two different ways" in sentence for sentence in problems(tmp_path))


# --- defaults inside a dictionary ---------------------------------------------------------------


def entry(**suboptions: Any) -> dict[str, Any]:
    """A role whose one variable is a dictionary with these options."""
    described = {
        name: {"type": "int", "description": "A number."} | spec for name, spec in suboptions.items()
    }
    return {
        "shop_service": {"type": "dict", "required": True, "description": "The shop.", "options": described}
    }


def nested_problems(tmp_path: Path, filled: Any, **suboptions: Any) -> list[str]:
    variables = {"__shop_defaults": filled}
    return problems(make_role(tmp_path, options=entry(**suboptions), defaults={}, variables=variables))


def test_equal_defaults_inside_a_dictionary_are_right(tmp_path: Path) -> None:
    assert nested_problems(tmp_path, {"port": 80}, port={"default": 80}, name={"required": True}) == []


def test_what_may_be_left_out_may_be_filled_with_nothing(tmp_path: Path) -> None:
    assert nested_problems(tmp_path, {"port": None}, port={}) == []


@pytest.mark.parametrize(
    ("filled", "spec", "words"),
    [
        ({"port": 81}, {"default": 80}, "is 81 in __shop_defaults and 80 in"),
        ({"port": "80"}, {"default": 80}, "make them equal"),
        ({"port": 80}, {}, "without a default"),
        ({}, {"default": 80}, "is optional and not in __shop_defaults"),
        ({"port": 80}, {"required": True}, "is required and stands in __shop_defaults"),
        ({"port": 80, "prot": 1}, {"default": 80}, "shop_service.prot stands in __shop_defaults and not in"),
        ([], {"default": 80}, "must be the defaults of its one required dictionary"),
    ],
)
def test_defaults_inside_a_dictionary_that_differ_are_named(
    tmp_path: Path, filled: Any, spec: dict[str, Any], words: str
) -> None:
    [sentence] = nested_problems(tmp_path, filled, port=spec)
    assert words in sentence
