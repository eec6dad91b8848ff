#!/usr/bin/env python3
"""Checks that each role's argument_specs and defaults tell the same, so that neither lies to its reader."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from argument_specs import (
    DEFAULTS,
    NO_DEFAULT,
    SPECS,
    VARIABLES,
    Option,
    Role,
    SpecsError,
    read_role,
    role_folders,
)
from tell_problems import ROOT, tell_problems

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}


def problems(roles: Path) -> list[str]:
    """Tell what is wrong in all roles of a folder, one sentence each."""
    found: list[str] = []
    for folder in role_folders(roles):
        try:
            role = read_role(folder)
        except SpecsError as error:
            found.append(str(error))
        else:
            found += problems_of(role)
    return found


def problems_of(role: Role) -> list[str]:
    """Tell what is wrong in one role, one sentence each."""
    found: list[str] = []
    options: dict[str, Option] = {}
    for entry in role.entry_points:
        for option in entry.options.values():
            found += _name_problems(role.name, option.name)
            found += _option_problems(role.name, option.name, option)
            if options.setdefault(option.name, option) != option:
                found.append(
                    f"{role.name}: {option.name} is described in two different ways; make them equal."
                )
    found += _default_problems(role, options)
    found += _nested_default_problems(role, options)
    found += [
        f"{role.name}: {name} in {VARIABLES} begins with neither {role.name}_ nor __{role.name}_; rename it."
        for name in role.variables
        if not name.startswith((f"{role.name}_", f"__{role.name}_"))
    ]
    return list(dict.fromkeys(found))


def _name_problems(role: str, name: str) -> Iterator[str]:
    if name.startswith("__"):
        yield f"{role}: {name} is an internal (two underscores): rename it, or take it out of {SPECS}."
    elif not name.startswith(f"{role}_"):
        yield f"{role}: {name} does not begin with {role}_; rename it."


def _option_problems(role: str, path: str, option: Option) -> Iterator[str]:
    if option.type is None:
        yield f"{role}: {path} has no type in {SPECS}; add one."
    elif option.type not in TYPES:
        known = ", ".join(TYPES)
        yield f"{role}: {path} has the type {option.type!r}, which Ansible does not know; use one of {known}."
    elif option.type == "list" and option.elements is None:
        yield f"{role}: {path} is a list and does not tell the type of its elements; add elements."
    if not option.description:
        yield f"{role}: {path} has no description in {SPECS}; add a sentence."
    if option.required and option.default is not NO_DEFAULT:
        yield f"{role}: {path} is required and has a default, which is never used; take one of the two out."
    if option.default is not NO_DEFAULT and not _fits(option.default, option.type):
        value = _shown(option.default)
        yield f"{role}: the default of {path}, {value}, is no {option.type}; correct one of the two."
    for nested in option.options.values():
        yield from _option_problems(role, f"{path}.{nested.name}", nested)


def _default_problems(role: Role, options: dict[str, Option]) -> Iterator[str]:
    for name, option in options.items():
        where = f"{role.name}: {name}"
        if option.required:
            if name in role.defaults:
                yield f"{where} is required and stands in {DEFAULTS}; take it out of there."
        elif name not in role.defaults:
            yield f"{where} is optional and not in {DEFAULTS}; add it, or make it required."
        else:
            value = _shown(role.defaults[name])
            if option.default is NO_DEFAULT:
                yield f"{where} is {value} in {DEFAULTS} and has no default in {SPECS}; add it there."
            elif _shown(option.default) != value:
                yield (
                    f"{where} is {value} in {DEFAULTS} and {_shown(option.default)} in {SPECS}; "
                    "make them equal."
                )
    for name in role.defaults:
        if name not in options:
            yield f"{role.name}: {name} stands in {DEFAULTS} and not in {SPECS}; describe it there."


def _nested_default_problems(role: Role, options: dict[str, Option]) -> Iterator[str]:
    """Compare the defaults inside a dictionary with what the role fills in for them.

    Ansible does not fill in what is left out of a dictionary; a role does it from its own
    `__ROLE_defaults`, for its one variable that is a dictionary and required.
    """
    filled = role.variables.get(f"__{role.name}_defaults")
    if filled is None:
        return
    entries = [option for option in options.values() if option.type == "dict" and option.required]
    if len(entries) != 1 or not isinstance(filled, dict):
        yield (
            f"{role.name}: __{role.name}_defaults in {VARIABLES} must be the defaults of the one required "
            "dictionary of the role."
        )
        return
    [entry] = entries
    for name, value in filled.items():
        where = f"{role.name}: {entry.name}.{name}"
        if name not in entry.options:
            yield f"{where} stands in __{role.name}_defaults and not in {SPECS}; describe it there."
        elif entry.options[name].required:
            yield f"{where} is required and stands in __{role.name}_defaults; take it out of there."
        # Nothing (null, an empty dictionary) may stand for an option that can be left out.
        elif value and _shown(entry.options[name].default) != _shown(value):
            told = entry.options[name].default
            shown = "has no default" if told is NO_DEFAULT else f"is {_shown(told)}"
            yield (
                f"{where} is {_shown(value)} in __{role.name}_defaults and {shown} in {SPECS}; "
                "make them equal."
            )
    for name, option in entry.options.items():
        if option.default is not NO_DEFAULT and name not in filled and name != "kind":
            yield (
                f"{role.name}: {entry.name}.{name} is {_shown(option.default)} in {SPECS} and not in "
                f"__{role.name}_defaults; add it there."
            )


def _fits(value: object, wanted: str | None) -> bool:
    # A template is known only when it is used; null stands for "not given".
    if value is None or wanted not in TYPES or (isinstance(value, str) and "{{" in value):
        return True
    # In Python a boolean is an integer.
    if isinstance(value, bool):
        return wanted in {"bool", "raw"}
    return isinstance(value, TYPES[wanted])


def _shown(value: object) -> str:
    """JSON, which tells 1 from true and from "1"."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return tell_problems(problems, __doc__, arguments, default=ROOT / "roles")


if __name__ == "__main__":
    sys.exit(main())
