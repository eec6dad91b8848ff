"""Lookup plugin: what is wrong with the variables that a user has set."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.inventory.helpers import get_group_vars
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from argument_specs import ROOT, Option, Role, SpecsError, read_role, role_folders

DOCUMENTATION = """
name: variable_problems
author: the Play with Containers authors
short_description: What is wrong with the variables that a user has set
description:
  - Ansible ignores a variable that nothing reads, so that a misspelt one does nothing, or makes an operation
    for one service one for all of them. This finds them in the extra variables, in group_vars, host_vars and
    the inventory, and misspelt keys inside of what describes the platform.
  - What is known stands in the argument_specs of the roles and of the playbooks
    (ansible/meta/argument_specs.yml).
options:
  _terms:
    description: The playbook that runs, as its entry point is called.
    required: true
"""

TRUTHS = ("yes", "no", "true", "false", "on", "off", "1", "0")
# What else begins so belongs to the platform too, and is known or misspelt.
PREFIXES = ("platform_", "operate_", "dead_letters_")
# A shorter name is near to too many others.
SHORTEST_MISSPELT = 6


@dataclass(frozen=True)
class Known:
    """All variables that something reads.

    Args:
        described: what describes the platform and its roles.
        operations: each playbook, with its options.
        roles: those that have argument_specs.
    """

    described: Mapping[str, Option]
    operations: Mapping[str, Mapping[str, Option]]
    roles: Sequence[str]

    @property
    def names(self) -> set[str]:
        """The names of all variables."""
        return set(self.described).union(*self.operations.values())

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How the platform's variables begin."""
        return (*PREFIXES, *(f"{role}_" for role in self.roles))


@dataclass(frozen=True)
class Source:
    """Variables that a user has set, and where."""

    where: str
    variables: Mapping[str, Any]


def read_known(root: Path = ROOT) -> Known:
    """Read what the roles and the playbooks say of their variables."""
    platform = read_role(root / "ansible")
    roles: list[Role] = []
    for folder in role_folders(root / "roles"):
        # A role of the user's own may have no specs; then its variables are not checked.
        with suppress(SpecsError):
            roles.append(read_role(folder))
    described: dict[str, Option] = {}
    for role in roles:
        for entry in role.entry_points:
            described |= entry.options
    operations = {entry.name: entry.options for entry in platform.entry_points}
    described |= operations.pop("main")
    return Known(described, operations, [role.name for role in roles])


def option_problems(operation: str, given: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Tell what is wrong with the names of extra variables, and with the values of a playbook's options."""
    options = known.operations[operation]
    for name, value in given.items():
        if name in options:
            yield from _value_problems(name, value, options[name])
        elif any(name in others for others in known.operations.values()):
            yield f"{name} is no option of {operation}. {_takes(options)}"
        elif name not in known.described and not name.startswith("ansible_"):
            meant = _meant(name, known.names)
            yield f"{name} (-e) is no variable that something reads.{meant} {_takes(options)}"


def description_problems(sources: Iterable[Source], known: Known) -> Iterator[str]:
    """Tell which variables that describe the platform are misspelt, on their own or inside."""
    names = known.names
    for source in sources:
        for name, value in source.variables.items():
            if name in known.described:
                for problem in _inside(value, known.described[name], name, known):
                    yield f"{source.where}: {problem}"
            elif name not in names and (name.startswith(known.prefixes) or _misspelt(name, names)):
                yield f"{source.where}: {name} is no variable that something reads.{_meant(name, names)}"


def service_problems(services: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> Iterator[str]:
    """Tell which names in platform_replicas and postgres_archive are not those of a fitting service."""
    # A port of the machine, or a volume, is for one container only.
    apps = [
        service
        for service in services
        if service.get("kind") == "flask_app" and not {"published_ports", "volumes"} & set(service)
    ]
    databases = [service for service in services if service.get("kind") == "postgres"]
    checked = (
        ("platform_replicas", apps, "have replicas"),
        ("postgres_archive", databases, "be archived"),
    )
    for variable, those, what in checked:
        fitting = [str(service.get("name")) for service in those]
        named = variables.get(variable) or ()
        for name in () if isinstance(named, str) else named:
            if name not in fitting:
                yield (
                    f"{variable}: {name} cannot {what}.{_meant(name, fitting)} "
                    f"Those that can: {', '.join(fitting)}."
                )


def _value_problems(name: str, value: Any, option: Option) -> Iterator[str]:
    shown = name.removeprefix("operate_").removeprefix("dead_letters_").upper()
    if value is None or not str(value).strip():
        yield f"{shown} ({name}) is given, and empty. Give it a value, or leave it out."
    elif option.type == "bool" and str(value).lower() not in TRUTHS:
        yield f"{shown} ({name}) is {value}: use yes or no."
    elif option.choices and value not in option.choices:
        yield f"{shown} ({name}) is {value}: use {' or '.join(map(str, option.choices))}."


def _inside(value: Any, option: Option, path: str, known: Known) -> Iterator[str]:
    """Tell what is wrong inside a value, as far as it is no template."""
    if value is None or (isinstance(value, str) and ("{{" in value or "{%" in value)):
        return
    if option.type == "list":
        if not isinstance(value, list):
            yield f"{path} must be a list."
            return
        if path == "platform_services" and not value:
            yield "platform_services is empty, so there is no platform. List the services in it."
        for number, entry in enumerate(value, start=1):
            yield from _in_entry(entry, option, f"{path}, entry {number}", known)
    elif option.type == "dict":
        if not isinstance(value, Mapping):
            yield f"{path} must be a mapping of keys to values."
            return
        yield from _in_mapping(value, option, path, known)


def _in_entry(entry: Any, option: Option, path: str, known: Known) -> Iterator[str]:
    if option.elements != "dict":
        return
    if not isinstance(entry, Mapping):
        if not isinstance(entry, str):
            yield f"{path} must be a mapping of keys to values."
        return
    path = f"{path} ({entry['name']})" if "name" in entry else path
    if option.name == "platform_services":
        kind = entry.get("kind")
        if f"{kind}_service" in known.described:
            yield from _in_mapping(entry, known.described[f"{kind}_service"], path, known)
        elif not (ROOT / "roles" / str(kind)).is_dir():
            kinds = [role for role in known.roles if f"{role}_service" in known.described]
            meant = _meant(str(kind), kinds)
            yield f"{path}: kind is {kind or 'missing'}.{meant} Choose one of: {', '.join(kinds)}."
    else:
        yield from _in_mapping(entry, option, path, known)


def _in_mapping(value: Mapping[str, Any], option: Option, path: str, known: Known) -> Iterator[str]:
    if not option.options:
        return
    for key, content in value.items():
        if key in option.options:
            yield from _inside(content, option.options[key], f"{path}, {key}", known)
        else:
            keys = ", ".join(option.options)
            yield f"{path} has no key {key}.{_meant(str(key), option.options)} Its keys: {keys}."
    for key, nested in option.options.items():
        if nested.required and key not in value:
            yield f"{path} lacks the key {key}."


def _misspelt(name: str, names: Iterable[str]) -> bool:
    return (
        len(name) >= SHORTEST_MISSPELT
        and not name.startswith(("ansible_", "_"))
        and bool(difflib.get_close_matches(name, names, n=1, cutoff=0.85))
    )


def _meant(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _takes(options: Mapping[str, Option]) -> str:
    return f"Its options: {', '.join(options)}."


class LookupModule(LookupBase):
    """Entry point for Ansible."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Returns the problems, one sentence each."""
        [operation] = terms
        variables = variables or {}
        known = read_known()
        extra = load_extra_vars(loader=self._loader)
        described = {name: value for name, value in extra.items() if name in known.described}
        sources = (*self._files(variables), self._inventory(variables), Source("-e", described))
        services = variables.get("platform_services")
        found = [
            *option_problems(operation, extra, known),
            *description_problems(sources, known),
            *service_problems(services if isinstance(services, list) else [], variables),
        ]
        return list(dict.fromkeys(found))

    def _files(self, variables: Mapping[str, Any]) -> Iterator[Source]:
        """Reads the files in which variables are set, beside the playbooks and beside the inventories."""
        sources = map(Path, variables.get("ansible_inventory_sources") or [])
        beside = {source if source.is_dir() else source.parent for source in sources}
        for folder in sorted({ROOT / "ansible", *beside}):
            for kind in ("group_vars", "host_vars"):
                for path in sorted((folder / kind).rglob("*")):
                    if path.is_file() and path.suffix in {"", ".yml", ".yaml", ".json"}:
                        content = self._loader.load_from_file(str(path))
                        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
                        # An empty file is none.
                        yield Source(str(shown), content if isinstance(content, Mapping) else {})

    def _inventory(self, variables: Mapping[str, Any]) -> Source:
        """Reads what the inventory itself says of this host and of its groups."""
        # Ansible gives plugins no other way to it.
        inventory = variables["hostvars"]._inventory  # noqa: SLF001
        host = inventory.get_host(variables["inventory_hostname"])
        return Source("the inventory", get_group_vars(host.get_groups()) | host.get_vars())
