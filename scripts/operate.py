#!/usr/bin/env python3
"""Runs the playbook of a make target, with the target's options from the environment as extra variables.

    python3 scripts/operate.py TARGET PLAYBOOK [VARIABLE=VALUE…]

make exports its options. From there a value reaches Ansible as the text that it is, whatever it holds: no
shell, JSON or Jinja reads it on the way. ansible/meta/argument_specs.yml says which variable an option sets.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from make_options import EXIT_USAGE, empty_option, options_of_targets, unknown_option

# What only make knows: it chooses between two programs.
NO_VARIABLE = frozenset({"FOLLOW"})


def variables_of(playbook: str) -> list[str]:
    """List the variables that a playbook takes as its options."""
    from argument_specs import ROOT, read_role

    name = {"site": "platform"}.get(Path(playbook).stem, Path(playbook).stem)
    [entry] = [entry for entry in read_role(ROOT / "ansible").entry_points if entry.name == name]
    return list(entry.options)


def variable_of(option: str, variables: Iterable[str]) -> str:
    """Give the variable that an option sets: SERVICE sets operate_service."""
    name = option.lower()
    [variable] = [known for known in variables if known == name or known.endswith(f"_{name}")]
    return variable


def problems(target: str, environment: Mapping[str, str]) -> list[str]:
    """Tell what is wrong with the options in the environment, one sentence each.

    One that belongs to another operation is refused: it would be ignored.
    """
    targets = options_of_targets()
    operations = set().union(*(names for names in targets.values() if "BREAK_LOCK" in names))
    found = [empty_option(name) for name in targets[target] if not environment.get(name, "given").strip()]
    found += [
        f"{unknown_option(target, name, targets[target])} It is set in your environment: unset {name}."
        for name in sorted(operations - set(targets[target]))
        if name in environment
    ]
    return found


def unsafe(value: str) -> str:
    """Write a text for `-e`, as YAML that Ansible takes as it is and does not read as a template."""
    escaped = (
        letter if " " <= letter <= "~" and letter not in '"\\' else f"\\U{ord(letter):08x}"
        for letter in value
    )
    return f'!unsafe "{"".join(escaped)}"'


def command(target: str, playbook: str, fixed: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Give the command that runs a playbook.

    Args:
        target: the make target.
        playbook: path of the playbook.
        fixed: what the target sets in any case, each VARIABLE=VALUE.
        environment: where the options are.
    """
    variables = variables_of(playbook)
    given = {
        variable_of(option, variables): environment[option]
        for option in options_of_targets()[target]
        if option in environment and option not in NO_VARIABLE
    }
    for setting in fixed:
        name, _, value = setting.partition("=")
        given[name] = value
    extra = ", ".join(f'"{name}": {unsafe(value)}' for name, value in given.items())
    return ["ansible-playbook", playbook, *(["-e", f"{{{extra}}}"] if extra else [])]


def main(arguments: list[str]) -> int:
    """Run a playbook in place of this process; returns the exit code where it cannot be."""
    target, playbook, *fixed = arguments
    found = problems(target, os.environ)
    if not found and not shutil.which("ansible-playbook"):
        found = ["There is no ansible-playbook yet: run `make setup` (or `make up`) first."]
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        line = command(target, playbook, fixed, os.environ)
        os.execvp(line[0], line)  # noqa: S606, a shell would read the values
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
