#!/usr/bin/env python3
"""Writes docs/variables.md, the tables of all variables, from the argument_specs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from argument_specs import NO_DEFAULT, EntryPoint, Option, Role, SpecsError, read_role, role_folders

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ".venv/bin/python scripts/generate_docs.py"
HEADER = f"""\
# Variables

<!-- Made by `{COMMAND}` from the argument_specs.yml of ansible/ and roles/. Change it there. -->

Set them in `ansible/group_vars/` or, for one run, with `-e NAME=VALUE`. A misspelt name, a wrong type or a
missing required variable ends the play before anything is changed.
"""


def render(roles: list[Role], platform: Role | None = None) -> str:
    """Make the page; the same roles always give the same text.

    Args:
        roles: the roles.
        platform: what describes the platform, and has an entry point for each playbook.
    """
    parts = [HEADER, *(_role(role, f"## {role.name}", "tasks_from: {}") for role in roles)]
    if platform:
        parts.insert(1, _role(platform, "## The platform and its playbooks", "`ansible/{}.yml`"))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _role(role: Role, title: str, entry_title: str) -> str:
    lines = [title, ""]
    for entry in role.entry_points:
        lines += _entry_point(entry, entry_title)
    return "\n".join(lines)


def _entry_point(entry: EntryPoint, title: str) -> Iterator[str]:
    if entry.name != "main":
        yield from (f"### {title.format(entry.name)}", "")
    for text in (entry.short_description, entry.description):
        if text:
            yield from (_markdown(text).rstrip(".") + ".", "")
    if not entry.options:
        yield from ("It has no variables.", "")
        return
    yield from ("| name | type | default | required | description |", "| --- | --- | --- | --- | --- |")
    for name in sorted(entry.options):
        yield from _rows(entry.options[name], name)
    yield ""


def _rows(option: Option, path: str) -> Iterator[str]:
    kind = f"list of {option.elements}" if option.type == "list" and option.elements else str(option.type)
    description = _markdown(option.description)
    if option.choices:
        description += " One of: " + ", ".join(_code(choice) for choice in option.choices) + "."
    default = "" if option.default is NO_DEFAULT else _code(option.default)
    yield f"| `{path}` | {kind} | {default} | {'yes' if option.required else 'no'} | {_cell(description)} |"
    for name in sorted(option.options):
        yield from _rows(
            option.options[name], f"{path}.{name}" if option.type == "dict" else f"{path}[].{name}"
        )


def _code(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return "`" + _cell(text).replace("`", "'") + "`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _markdown(text: str) -> str:
    """Ansible's own markup, as far as descriptions use it (docs.ansible.com: "Ansible markup")."""
    text = re.sub(r"\b[CVO]\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bB\(([^)]*)\)", r"**\1**", text)
    text = re.sub(r"\bI\(([^)]*)\)", r"*\1*", text)
    return re.sub(r"\bU\(([^)]*)\)", r"<\1>", text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when the page is out of date"
    )
    parser.add_argument("--roles", type=Path, default=ROOT / "roles", help="default: roles/ at the root")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "variables.md", help="default: docs/variables.md"
    )
    options = parser.parse_args(arguments)
    try:
        playbooks = options.roles.parent / "ansible"
        page = render(
            [read_role(folder) for folder in role_folders(options.roles)],
            read_role(playbooks) if playbooks.is_dir() else None,
        )
    except SpecsError as error:
        print(error, file=sys.stderr)
        return 1
    old = options.output.read_text(encoding="utf-8") if options.output.is_file() else None
    if page == old:
        return 0
    if options.check:
        print(
            f"{options.output.name} does not tell what the roles' argument_specs tell. Run: {COMMAND}",
            file=sys.stderr,
        )
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
