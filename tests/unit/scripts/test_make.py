"""What users type after make: each value arrives as it was typed, and what is wrong is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.library.programs import attempt

import make_options
import operate
from argument_specs import ROOT

# A folder that somebody may well have.
FOLDER = 'it\'s "my" cash$money ünïcode'
TEXTS = (
    """it's "a" $(HOME) ${HOME} $$ a$b `id`; id & {{ 1 + 1 }} back\\slash #hash ünïcode 😀""",
    "{% raw %}",
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what make needs, whose ansible-playbook prints its arguments as JSON."""
    folder = tmp_path_factory.mktemp("make") / FOLDER
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "ansible").mkdir()
    shutil.copytree(ROOT / "ansible" / "meta", folder / "ansible" / "meta")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for name in ("ansible-playbook", "python", "molecule", "vagrant"):
        (programs / name).write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            "print(json.dumps({'arguments': sys.argv[1:], 'locale': os.environ.get('LC_ALL')}))\n"
        )
    (folder / "scripts" / "setup").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    return folder


def make(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return attempt("make", "--no-print-directory", *arguments, cwd=clone, env=kept | environment)


def called(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Give what the program was called with, which is one line."""
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


class _Loader(yaml.SafeLoader):
    """As Ansible's: a value with the tag !unsafe is no template."""


_Loader.add_constructor("!unsafe", lambda _, node: ("unsafe", node.value))


def extra(done: subprocess.CompletedProcess[str]) -> tuple[str, dict[str, str]]:
    """Give the playbook and its extra variables, none of which may be read as a template."""
    arguments = called(done)["arguments"]
    if len(arguments) == 1:
        return arguments[0], {}
    playbook, option, text = arguments
    assert option == "-e"
    values = yaml.load(text, Loader=_Loader)  # noqa: S506, a safe loader
    assert all(kind == "unsafe" for kind, _ in values.values())
    return playbook, {name: value for name, (_, value) in values.items()}


def refused(done: subprocess.CompletedProcess[str], *mentions: str) -> None:
    assert done.returncode != 0
    assert "arguments" not in done.stdout
    for mention in mentions:
        assert mention in done.stderr


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_arrives_as_it_was_typed(clone: Path, text: str) -> None:
    assert extra(make(clone, "restore", f"FROM={text}")) == ("ansible/restore.yml", {"operate_from": text})


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_of_the_environment_arrives_as_it_is(clone: Path, text: str) -> None:
    assert extra(make(clone, "stop", SERVICE=text)) == ("ansible/stop.yml", {"operate_service": text})


def test_an_operation_without_options_has_no_variables(clone: Path) -> None:
    assert extra(make(clone, "stop")) == ("ansible/stop.yml", {})


@pytest.mark.parametrize(
    ("target", "option", "meant"),
    [
        ("stop", "SERVCIE=inventory-app", "Did you mean SERVICE?"),
        ("restore", "DATABSE=movies", "Did you mean DATABASE?"),
        ("bench", "ROUNDZ=1", "Did you mean ROUNDS?"),
        ("backup", "SERVICE=inventory-app", "It takes DRAIN, BREAK_LOCK."),
        ("lint", "NAME=mypy", "make lint has no option NAME. It takes no options."),
        ("help", "X=1", "make help has no option X"),
    ],
)
def test_an_unknown_option_is_refused_with_the_right_ones(
    clone: Path, target: str, option: str, meant: str
) -> None:
    refused(make(clone, target, option), f"make {target} has no option", meant)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_option_is_refused_wherever_it_is_given(clone: Path, empty: str) -> None:
    refused(make(clone, "stop", f"SERVICE={empty}"), "SERVICE is given, and empty")
    refused(make(clone, "stop", SERVICE=empty), "SERVICE is given, and empty")


def test_an_option_of_the_environment_that_is_not_taken_is_refused(clone: Path) -> None:
    refused(make(clone, "backup", SERVICE="inventory-app"), "no option SERVICE", "unset SERVICE")


def test_each_of_several_targets_must_take_an_option(clone: Path) -> None:
    refused(make(clone, "stop", "backup", "SERVICE=inventory-app"), "make backup has no option SERVICE")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("dead-letters",), {"operate_action": "list"}),
        (("dead-letters", "ID=3f"), {"operate_action": "show", "operate_id": "3f"}),
        (
            ("dead-letters-retry", "REASON=a b"),
            {"operate_action": "retry", "operate_reason": "a b"},
        ),
        (
            ("dead-letters-drop", "ID=3f", "CONFIRM=yes"),
            {"operate_action": "drop", "operate_id": "3f", "confirm": "yes"},
        ),
    ],
)
def test_dead_letters_have_variables_of_their_own(
    clone: Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    assert extra(make(clone, *arguments)) == ("ansible/dead_letters.yml", variables)


def test_a_number_for_another_program_is_one_argument(clone: Path) -> None:
    assert called(make(clone, "bench", "ROUNDS=3; id"))["arguments"] == [
        "-m",
        "benchmarks",
        "--rounds",
        "3; id",
    ]


def test_logs_are_followed_only_where_that_is_asked_for(clone: Path) -> None:
    playbook, variables = extra(make(clone, "logs", "SERVICE=rabbitmq", "FOLLOW=0"))
    assert (playbook, variables) == ("ansible/logs.yml", {"operate_service": "rabbitmq"})
    refused(make(clone, "logs", "SERVICE=rabbitmq", "FOLLOW=maybe"), "FOLLOW is 'maybe': use 1 or 0.")
    refused(make(clone, "logs", "SERVICE=rabbitmq", "FOLLOW=1", "TAIL=all"), "TAIL is 'all'")


@pytest.mark.parametrize(
    ("variables", "program", "begin"),
    [
        ("ansible_connection=docker", "docker", ["exec", "machine", "sh", "-c"]),
        ("ansible_host=10.0.0.1", "ssh", ["10.0.0.1"]),
        (
            "ansible_user=a ansible_port=22 ansible_ssh_private_key_file=~/k ansible_ssh_common_args='-o A'",
            "ssh",
            ["-o", "A", "-i", "~/k", "-l", "a", "-p", "22", "machine"],
        ),
    ],
)
def test_logs_are_followed_on_the_machine_of_the_inventory(
    clone: Path, tmp_path: Path, variables: str, program: str, begin: list[str]
) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text(f"[platform]\nmachine {variables}\n")
    shutil.copy(clone / ".venv" / "bin" / "ansible-playbook", tmp_path / program)
    done = make(
        clone,
        "logs",
        "SERVICE=rabbitmq",
        "FOLLOW=1",
        "TAIL=5",
        ANSIBLE_INVENTORY=str(inventory),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )
    arguments = called(done)["arguments"]
    assert arguments[: len(begin)] == begin
    assert "--follow --tail 5" in arguments[-1].replace("\\", "")


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "xx_YY.UTF-8"}, {"LC_ALL": "C"}, {"LC_CTYPE": "UTF-8"}, {"LANG": ""}]
)
def test_programs_have_a_locale_that_exists(clone: Path, locale: dict[str, str]) -> None:
    assert called(make(clone, "stop", **locale))["locale"] == "C.UTF-8"


def test_help_lists_each_target_with_its_options(clone: Path) -> None:
    done = make(clone)
    assert done.returncode == 0
    assert "make stop " in done.stdout
    assert "[SERVICE=NAME] [BREAK_LOCK=yes]" in done.stdout


OPERATIONS = dict(
    re.findall(
        r"^([a-z-]+): ## .*\n\t@.*?(ansible/\w+\.yml|site\.yml)",
        (ROOT / "Makefile").read_text(),
        re.MULTILINE,
    )
)


@pytest.mark.parametrize("target", OPERATIONS)
def test_a_target_takes_the_options_of_its_playbook(target: str) -> None:
    variables = operate.variables_of(OPERATIONS[target])
    taken = [name for name in make_options.options_of_targets()[target] if name not in operate.NO_VARIABLE]
    set_by_options = {operate.variable_of(option, variables) for option in taken}
    # Each of the three targets for dead letters sets the action itself, and takes what suits it.
    assert set_by_options == set(variables) or OPERATIONS[target] == "ansible/dead_letters.yml"
