"""The playbooks as users start them, as far as no machine is needed: from any folder, in any locale."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import venv
from contextlib import suppress
from pathlib import Path

import pytest
import start_programs
from tests.library.programs import attempt

from argument_specs import ROOT

PROGRAMS = ROOT / ".venv" / "bin"
PLAYBOOK = PROGRAMS / "ansible-playbook"
# A machine that is not there: whatever is not refused before fails at once.
INVENTORY = "[platform]\nnowhere ansible_ssh_common_args='-F /nonexistent'\n"
LOCALES = [{"LC_ALL": "xx_YY.UTF-8"}, {"LC_ALL": "C"}, {"LC_CTYPE": "UTF-8"}, {"LANG": "", "LC_ALL": ""}]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inventory") / "hosts"
    path.write_text(INVENTORY)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy that a test may edit, in a folder that somebody may well have."""
    folder = tmp_path / 'it\'s "my" cash$money ünïcode'
    folder.mkdir()
    for part in ("ansible", "roles", "scripts"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("ansible.cfg", "site.yml", "inventory.ini"):
        shutil.copy(ROOT / part, folder)
    return folder


def run(
    *arguments: str | Path, program: str = "ansible-playbook", folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "LC_", "LANG"))
    }
    return attempt(PROGRAMS / program, *arguments, cwd=folder, env=kept | environment)


def refused(done: subprocess.CompletedProcess[str], *mentions: str) -> None:
    printed = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0, printed
    assert "UNREACHABLE" not in printed
    for mention in mentions:
        assert mention in printed


def test_a_variable_that_nothing_reads_is_refused_before_a_machine_is_asked(inventory: Path) -> None:
    extra = ("-e", "operate_servcie=inventory-app", "-e", "databse=movies", "-e", "operate_service=")
    done = run("-i", inventory, "site.yml", *extra)
    refused(done, "operate_servcie (-e) is no variable", "Did you mean operate_service?", "databse (-e)")
    refused(done, "SERVICE (operate_service) is given, and empty")


def test_a_swarm_needs_its_first_machine_for_what_that_one_knows(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts"
    inventory.write_text(INVENTORY.replace("nowhere", "first") + INVENTORY.replace("nowhere", "second"))
    question = ("-i", inventory, "ansible/history.yml", "-e", "operate_service=inventory-app")
    swarm = ("-e", "platform_engine=swarm")
    refused(run(*question, *swarm, "--limit", "second"), "first knows what was deployed on the Swarm")
    refused(
        run(*question, *swarm, "-e", "operate_service=rabbitmq"), "rabbitmq is a cluster of one container"
    )
    # Machines that are platforms of their own are asked.
    for arguments in ((*swarm,), ("--limit", "second")):
        assert "UNREACHABLE second" in run(*question, *arguments).stdout


def test_of_a_failed_loop_only_the_cause_is_shown(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(
        "- {hosts: localhost, gather_facts: false, tasks: [{name: Read, loop: [a, /nowhere],\n"
        "   ansible.builtin.assert: {that: item == 'a', fail_msg: 'There is no such file.'}}]}\n"
    )
    done = run("-i", "localhost,", "-c", "local", play)
    assert done.returncode != 0
    assert "FAILED localhost · Read\n  There is no such file." in done.stdout
    assert "ansible_loop_var" not in done.stdout


def test_machines_that_cannot_be_reached_are_told_in_a_sentence_and_at_the_end(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text("- {hosts: all, gather_facts: false, tasks: [{name: Read, ansible.builtin.ping: }]}\n")
    inventory = tmp_path / "hosts"
    inventory.write_text(
        "here ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
        "gone ansible_host=127.0.0.1 ansible_port=1\n"
    )
    done = run("-i", inventory, play)
    assert done.returncode != 0
    printed = " ".join(done.stdout.split())
    assert "UNREACHABLE gone · Read" in printed
    assert "Connection refused gone cannot be reached. Check that it runs" in printed
    assert "Not finished: gone; all others are." in printed
    assert '"unreachable"' not in printed


def test_one_yes_counts_for_all_machines_which_are_named(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(
        "- {hosts: all, gather_facts: false, vars: {confirm: false, platform_engine: docker}, tasks: ["
        f"{{ansible.builtin.import_tasks: '{ROOT}/ansible/tasks/confirm.yml',\n"
        "vars: {what: removes it.}}]}\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        arguments = [str(PLAYBOOK), "-i", "first,second", "-c", "local", str(play)]
        os.execv(PLAYBOOK, arguments)  # noqa: S606
    printed = b""
    with suppress(OSError):
        while True:
            # What is typed before Ansible reads is dropped, so it is typed until it has an effect.
            if not select.select([terminal], [], [], 1)[0] and b"Type yes" in printed:
                os.write(terminal, b"yes\r")
            elif more := os.read(terminal, 4096):
                printed += more
            else:
                break
    _, status = os.waitpid(pid, 0)
    assert b"The same on second. Type yes" in printed
    assert os.waitstatus_to_exitcode(status) == 0, printed.decode()


def test_what_is_misspelt_in_files_is_told_with_the_file(clone: Path) -> None:
    described = clone / "ansible" / "group_vars" / "all"
    for name, right, wrong in (
        ("backups.yml", "backup_schedule:", "backup_shedule:"),
        ("platform.yml", "platform_replicas: {}", "platform_replicas: {inventry-app: 3}"),
        ("services.yml", "    workers: 1", "    memry: 1g"),
    ):
        text = (described / name).read_text()
        assert right in text
        (described / name).write_text(text.replace(right, wrong))
    (clone / "host_vars").mkdir()
    (clone / "host_vars" / "nowhere.yml").write_text("platform_disc_mib: 1\n")
    (clone / "inventory.ini").write_text(INVENTORY + "[platform:vars]\nplaform_memory_mib=1\n")
    refused(
        run("ansible/start.yml", folder=clone),
        "ansible/group_vars/all/backups.yml: backup_shedule is no variable that something reads. "
        "Did you mean backup_schedule?",
        "platform_replicas: inventry-app cannot have replicas. Did you mean inventory-app?",
        "ansible/group_vars/all/services.yml: platform_services, entry 5 (billing-app) has no key memry.",
        "host_vars/nowhere.yml: platform_disc_mib is no variable",
        "the inventory: plaform_memory_mib is no variable",
    )


def test_a_playbook_without_a_machine_fails() -> None:
    refused(run("-i", "localhost,", "site.yml"), "no machine was found", "This play is for platform.")


def test_a_tag_that_is_not_there_is_refused(inventory: Path) -> None:
    refused(run("-i", inventory, "site.yml", "--tags", "biuld"), "no tag biuld", "preflight, engine, build")
    refused(run("-i", inventory, "ansible/stop.yml", "--tags", "run"), "Nothing was done: no task")


def test_a_single_module_has_no_tags_to_check(inventory: Path) -> None:
    done = run(
        "-i",
        inventory,
        "platform",
        "--module-name=ansible.builtin.debug",
        program="ansible",
        ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_playbook_works_from_another_folder(inventory: Path) -> None:
    """It finds its plugins and roles, and gets as far as the machine."""
    assert "UNREACHABLE" in run("-i", inventory, "stop.yml", folder=ROOT / "ansible").stdout
    assert run("--syntax-check", ROOT / "site.yml", folder=Path("/")).returncode == 0


def test_another_configuration_is_refused_with_the_way_to_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("")
    refused(run(ROOT / "ansible/stop.yml", folder=tmp_path), "The ansible.cfg of this project was not read")


@pytest.mark.parametrize("program", ["ansible-playbook", "ansible", "ansible-lint", "molecule", "pytest"])
def test_each_program_of_the_environment_starts_in_that_way(program: str) -> None:
    assert (PROGRAMS / program).read_text().startswith(start_programs.HEADER)


def test_a_playbook_runs_in_a_locale_that_does_not_exist() -> None:
    assert run("--syntax-check", "ansible/stop.yml", LC_ALL="xx_YY.UTF-8").returncode == 0


@pytest.mark.parametrize("locale", LOCALES)
def test_programs_of_an_environment_start_in_any_folder_and_locale(
    tmp_path: Path, locale: dict[str, str]
) -> None:
    folder = tmp_path / 'it\'s "my" cash$money ünïcode'
    venv.create(folder / ".venv", symlinks=True, with_pip=False)
    program = folder / ".venv" / "bin" / "program"
    # As pip writes it: the path cannot be quoted there.
    program.write_text(
        f"#!/bin/sh\n'''exec' \"{folder}/.venv/bin/python\" \"$0\" \"$@\"\n' '''\n"
        "import os, sys\n"
        "print(sys.prefix, os.environ['LC_ALL'], os.environ['ANSIBLE_CONFIG'], *sys.argv[1:])\n"
    )
    program.chmod(0o755)
    start_programs.main(program.parent, folder)
    link = tmp_path / "link"
    link.symlink_to(program)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "LC_", "LANG"))
    }
    for path in (program, link):
        done = attempt(path, "a b", cwd=tmp_path, env=kept | locale)
        assert done.stdout == f"{folder}/.venv C.UTF-8 {folder}/ansible.cfg a b\n"
