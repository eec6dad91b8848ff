#!/usr/bin/env python3
"""Checks that each role's argument_specs and defaults tell the same, so that neither lies to its reader.

ansible-lint checks the shape of argument_specs.yml and the names of variables; no tool compares the defaults.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from argument_specs import (
    DEFAULTS,
    NO_DEFAULT,
    ROOT,
    SPECS,
    Option,
    Role,
    SpecsError,
    read_role,
    role_folders,
)

TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def problems(roles: Path) -> list[str]:
    """Tell what is wrong in all roles of a folder, one sentence each."""
    found: list[str] = []
    for folder in role_folders(roles):
        try:
            found += dict.fromkeys(_of_role(read_role(folder)))
        except SpecsError as error:
            found.append(str(error))
    return found


def _of_role(role: Role) -> Iterator[str]:
    options: dict[str, Option] = {}
    for entry in role.entry_points:
        for option in entry.options.values():
            yield from _of_option(f"{role.name}: {option.name}", option)
            if options.setdefault(option.name, option) != option:
                yield f"{role.name}: {option.name} is described in two different ways; make them equal."
    yield from _compare(role.name, role.defaults, options, str(DEFAULTS))
    # Ansible does not fill in what is left out of a dictionary; a role does it for its one required one.
    filled = role.variables.get(f"__{role.name}_defaults")
    if filled is not None:
        entries = [option for option in options.values() if option.type == "dict" and option.required]
        if len(entries) == 1 and isinstance(filled, dict):
            # What kind of service it is chooses the role.
            inside = {name: option for name, option in entries[0].options.items() if name != "kind"}
            where = f"{role.name}: {entries[0].name}."
            yield from _compare(where, filled, inside, f"__{role.name}_defaults", nested=True)
        else:
            yield f"{role.name}: __{role.name}_defaults must be the defaults of its one required dictionary."


def _of_option(where: str, option: Option) -> Iterator[str]:
    if option.type is None or not option.description or (option.type == "list" and option.elements is None):
        yield f"{where} needs a type, a description and, for a list, elements in {SPECS}; add what lacks."
    if option.required and option.default is not NO_DEFAULT:
        yield f"{where} is required and has a default, which is never used; take one of the two out."
    if not _fits(option.default, option.type):
        yield f"{where}: its default, {_shown(option.default)}, is no {option.type}; correct one of the two."
    for nested in option.options.values():
        yield from _of_option(f"{where}.{nested.name}", nested)


def _compare(
    where: str, values: Mapping[str, Any], options: Mapping[str, Option], file: str, *, nested: bool = False
) -> Iterator[str]:
    """Compare what a file fills in with what is described.

    Inside a dictionary, nothing (null, an empty dictionary) may stand for an option that can be left out.
    """
    prefix = where if nested else f"{where}: "
    for name in values.keys() - options.keys():
        yield f"{prefix}{name} stands in {file} and not in {SPECS}; describe it there."
    for name, option in options.items():
        told = option.default
        if option.required:
            if name in values:
                yield f"{prefix}{name} is required and stands in {file}; take it out of there."
        elif name not in values:
            if not nested or told is not NO_DEFAULT:
                yield f"{prefix}{name} is optional and not in {file}; add it, or make it required."
        elif _shown(told) != _shown(values[name]) and not (nested and not values[name]):
            both = f"{_shown(values[name])} in {file} and {_shown(told)} in {SPECS}"
            yield f"{prefix}{name} is {both}; make them equal."


def _fits(value: object, wanted: str | None) -> bool:
    # A template is known only when it is used; null stands for "not given".
    if value is NO_DEFAULT or value is None or wanted is None or wanted not in TYPES or "{{" in str(value):
        return True
    # In Python a boolean is an integer.
    return wanted == "bool" if isinstance(value, bool) else isinstance(value, TYPES[wanted])


def _shown(value: object) -> str:
    """JSON, which tells 1 from true and from "1"."""
    if value is NO_DEFAULT:
        return "without a default"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


if __name__ == "__main__":
    sys.exit("\n".join(problems(ROOT / "roles")) or 0)
