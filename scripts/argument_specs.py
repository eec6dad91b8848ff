"""Reads what the roles say about their variables: `meta/argument_specs.yml` and `defaults/main.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SPECS = Path("meta/argument_specs.yml")
DEFAULTS = Path("defaults/main.yml")
VARIABLES = Path("vars/main.yml")

# In an option without `default:` there is none, which is something else than `default: null`.
NO_DEFAULT = object()


class SpecsError(ValueError):
    """A file is missing or does not have the expected shape; the text is a sentence for its author."""


@dataclass(frozen=True)
class Option:
    """One variable of a role, or one key of a variable that is a dictionary or a list of them."""

    name: str
    type: str | None
    required: bool
    default: Any
    description: str
    elements: str | None = None
    choices: tuple[Any, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class EntryPoint:
    """What one entry point (`main`, or another task file) of a role takes."""

    name: str
    short_description: str
    description: str
    options: Mapping[str, Option]


@dataclass(frozen=True)
class Role:
    """A role's variables, as its files tell them."""

    name: str
    entry_points: tuple[EntryPoint, ...]
    defaults: Mapping[str, Any]
    variables: Mapping[str, Any]


def role_folders(roles: Path) -> list[Path]:
    """List the folders of all roles, by name."""
    if not roles.is_dir():
        return []
    return sorted(folder for folder in roles.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def read_role(folder: Path) -> Role:
    """Read one role.

    Raises: SpecsError when argument_specs.yml is missing, or a file does not have the expected shape.
    """
    specs_file = folder / SPECS
    if not specs_file.is_file():
        raise SpecsError(f"{folder.name}: {SPECS} is missing; describe the role's variables in it.")
    specs = _mapping(specs_file, folder.name).get("argument_specs")
    if not isinstance(specs, dict) or "main" not in specs:
        raise SpecsError(f"{folder.name}: {SPECS} has no argument_specs with an entry point main; add it.")
    return Role(
        name=folder.name,
        entry_points=tuple(_entry_point(folder.name, name, spec) for name, spec in specs.items()),
        defaults=_mapping(folder / DEFAULTS, folder.name),
        variables=_mapping(folder / VARIABLES, folder.name),
    )


def _mapping(path: Path, role: str) -> dict[str, Any]:
    """The file's content; an empty dictionary for a file that is not there, or empty."""
    if not path.is_file():
        return {}
    where = f"{role}: {path.parent.name}/{path.name}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SpecsError(f"{where} is no YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SpecsError(f"{where} is no mapping of names to values; write it as one.")
    return content


def _entry_point(role: str, name: str, spec: object) -> EntryPoint:
    spec = spec or {}
    if not isinstance(spec, dict):
        raise SpecsError(f"{role}: the entry point {name} in {SPECS} is no mapping; write it as one.")
    return EntryPoint(
        name=name,
        short_description=_text(spec.get("short_description")),
        description=_text(spec.get("description")),
        options=_options(role, name, spec.get("options")),
    )


def _options(role: str, where: str, raw: object) -> dict[str, Option]:
    raw = raw or {}
    if not isinstance(raw, dict):
        raise SpecsError(f"{role}: the options of {where} in {SPECS} are no mapping; write them as one.")
    return {name: _option(role, name, spec) for name, spec in raw.items()}


def _option(role: str, name: str, spec: object) -> Option:
    if not isinstance(spec, dict):
        raise SpecsError(f"{role}: the option {name} in {SPECS} is no mapping; give it type and description.")
    return Option(
        name=name,
        type=spec.get("type"),
        required=spec.get("required", False) is True,
        default=spec.get("default", NO_DEFAULT),
        description=_text(spec.get("description")),
        elements=spec.get("elements"),
        choices=tuple(spec.get("choices") or ()),
        options=_options(role, name, spec.get("options")),
    )


def _text(value: object) -> str:
    """A description is a text, or a list of paragraphs."""
    paragraphs = value if isinstance(value, list) else [value or ""]
    return "\n\n".join(" ".join(str(paragraph).split()) for paragraph in paragraphs)
