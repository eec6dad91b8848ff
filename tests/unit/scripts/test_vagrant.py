"""The Vagrantfile's choices: provider, box, emulation; programs of the test stand in for hypervisors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.library.programs import attempt, put_program
from tests.library.settings import ROOT

LOAD = """
module Vagrant; def self.has_plugin?(name) = name == "vagrant-libvirt"; end
require "json"
require "{machine}/vagrant/provider"
require "{machine}/vagrant/virtual_machine"
require "{machine}/vagrant/published_ports"
puts JSON.generate({expression})
"""


class Computer:
    """A computer that has only the programs that a test puts there."""

    def __init__(self, directory: Path) -> None:
        self._programs = directory / "bin"
        self._machine = directory / "machine"
        self.machines = directory / "machines"
        self._programs.mkdir()
        shutil.copytree(ROOT / "machine" / "vagrant", self._machine / "vagrant")
        (self._machine / "box").mkdir()

    def put(self, program: str, *lines: str) -> None:
        """Put a program on the PATH; in machine/box, where it is one of those."""
        is_ours = program in {"build", "kvm_works"}
        put_program((self._machine / "box" if is_ours else self._programs) / program, *lines)

    def make_machine(self, provider: str) -> None:
        (self.machines / provider).mkdir(parents=True)
        (self.machines / provider / "id").write_text("1")

    def ruby(self, expression: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Evaluate an expression; prints it as JSON."""
        environment = {"PATH": str(self._programs), "LC_ALL": "C.UTF-8", **variables}
        script = LOAD.format(machine=self._machine, expression=expression)
        return attempt(shutil.which("ruby") or "ruby", "-e", script, env=environment)

    def choose(self, **variables: str) -> list[str]:
        run = self.ruby(f'PlayWithContainers.choose_provider("{self.machines}")', **variables)
        assert run.returncode == 0, run.stderr
        choice: list[str] = json.loads(run.stdout)
        return choice


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_a_computer_without_a_hypervisor_gets_a_node_in_a_container(computer: Computer) -> None:
    assert computer.choose() == ["docker", "no hypervisor works here"]


def test_a_hypervisor_that_works_comes_first(computer: Computer) -> None:
    computer.put("virsh")
    computer.put("kvm_works")
    assert computer.choose() == ["libvirt", "which works here"]
    computer.put("VBoxManage", "echo 7.0.20r163906")
    assert computer.choose() == ["virtualbox", "which works here"]


def test_a_hypervisor_that_does_not_work_is_passed_over(computer: Computer) -> None:
    computer.put(
        "VBoxManage", "echo 'WARNING: The character device /dev/vboxdrv does not exist.'", "echo 7.0"
    )
    computer.put("virsh")
    computer.put("kvm_works", "exit 1")
    assert computer.choose()[0] == "docker"


def test_what_is_named_comes_before_what_works(computer: Computer) -> None:
    computer.put("VBoxManage", "echo 7.0.20r163906")
    assert computer.choose(PROVIDER="docker") == ["docker", "as PROVIDER says"]
    assert computer.choose(VAGRANT_DEFAULT_PROVIDER="libvirt") == [
        "libvirt",
        "as VAGRANT_DEFAULT_PROVIDER says",
    ]


def test_an_unknown_provider_is_refused(computer: Computer) -> None:
    run = computer.ruby('PlayWithContainers.choose_provider("")', PROVIDER="vmware")
    assert run.returncode == 1
    assert "PROVIDER=vmware is not known here. Choose one of: virtualbox, libvirt, docker." in run.stderr


def test_a_machine_keeps_its_provider(computer: Computer) -> None:
    computer.make_machine("docker")
    computer.put("VBoxManage", "echo 7.0.20r163906")
    assert computer.choose() == ["docker", "as it was made"]
    assert computer.choose(PROVIDER="docker", VAGRANT_DEFAULT_PROVIDER="libvirt")[0] == "docker"
    assert computer.choose(VAGRANT_DEFAULT_PROVIDER="libvirt")[0] == "docker"
    run = computer.ruby(f'PlayWithContainers.choose_provider("{computer.machines}")', PROVIDER="libvirt")
    assert run.returncode == 1
    assert "The machine is a node in a container, and PROVIDER says libvirt." in run.stderr
    assert "PROVIDER=docker vagrant destroy" in run.stderr


def test_a_machine_that_vagrant_could_not_make_has_no_ports_to_keep(computer: Computer) -> None:
    wanted = 'PlayWithContainers.refuse_other_ports("preparing", {"GATEWAY_PORT" => [3000, 3999]})'
    computer.put("docker", "exit 1")
    assert computer.ruby(wanted).returncode == 0
    computer.put("docker", '[ "$1" != port ] || echo 0.0.0.0:3000')
    refused = computer.ruby(wanted)
    assert refused.returncode == 1
    assert "made with port 3000 for 3000, and GATEWAY_PORT says 3999" in refused.stderr


@pytest.mark.parametrize(("driver", "emulated"), [("qemu", True), ("kvm", False)])
def test_the_driver_that_is_named_is_taken(computer: Computer, driver: str, emulated: bool) -> None:
    computer.put("kvm_works", "exit 1" if driver == "kvm" else "exit 0")
    assert json.loads(computer.ruby("[PlayWithContainers.emulated?]", LIBVIRT_DRIVER=driver).stdout) == [
        emulated
    ]


@pytest.mark.parametrize(("works", "emulated"), [("exit 0", False), ("exit 1", True)])
def test_without_a_kvm_that_works_the_machine_is_emulated(
    computer: Computer, works: str, emulated: bool
) -> None:
    computer.put("kvm_works", works)
    assert json.loads(computer.ruby("[PlayWithContainers.emulated?]").stdout) == [emulated]


def test_an_unknown_driver_is_refused(computer: Computer) -> None:
    run = computer.ruby("[PlayWithContainers.emulated?]", LIBVIRT_DRIVER="xen")
    assert run.returncode == 1
    assert "LIBVIRT_DRIVER=xen is not known here" in run.stderr


def test_a_box_of_ones_own_is_taken_with_its_checksum(computer: Computer, tmp_path: Path) -> None:
    def choice(emulated: str, **variables: str) -> dict[str, str]:
        chosen: dict[str, str] = json.loads(
            computer.ruby(
                "Struct.new(:box, :box_url, :box_download_checksum_type, :box_download_checksum).new"
                f".tap {{ |vm| PlayWithContainers.choose_box(vm, {emulated}) }}.to_h",
                **variables,
            ).stdout
        )
        return chosen

    computer.put("build", f'echo "{tmp_path}/${{2:-plain}}.box"')
    assert choice("true")["box"] == "debian/bookworm64"
    for name, checksum in (("plain", "11aa"), ("--docker", "22bb")):
        (tmp_path / f"{name}.box.sha256").write_text(f"{checksum}  {name}.box\n")
    assert choice("true") == {
        "box": "--docker",
        "box_url": f"file://{tmp_path}/--docker.box",
        "box_download_checksum_type": "sha256",
        "box_download_checksum": "22bb",
    }
    assert choice("false")["box"] == "plain"
    assert choice("false", BOX="mine")["box"] == "mine"


@pytest.mark.parametrize(
    ("guest", "works"),
    [
        ("echo 'VFS: Unable to mount root fs on unknown-block(0,0)'", True),
        ("sleep 60", False),
        ("echo 'failed to set MSR'; exit 1", False),
    ],
    ids=["a kernel that boots", "one that hangs", "a QEMU that fails"],
)
def test_kvm_works_where_a_guest_boots_under_it(tmp_path: Path, guest: str, works: bool) -> None:
    for directory in ("bin", "machine/box", ".cache/boxes"):
        (tmp_path / directory).mkdir(parents=True)
    program = shutil.copy(ROOT / "machine" / "box" / "kvm_works", tmp_path / "machine" / "box")
    (tmp_path / ".cache" / "boxes" / "vmlinuz").touch()
    (tmp_path / "device").touch()
    put_program(tmp_path / "bin" / "qemu-system-x86_64", f"echo >>{tmp_path}/asked", guest)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "KVM_PATIENCE": "2"}
    for _ in range(2):
        run = subprocess.run([program, tmp_path / "device"], env=environment, check=False)
        assert run.returncode == (0 if works else 1)
    # What was found is remembered.
    assert (tmp_path / "asked").read_text() == "\n"
    assert subprocess.run([program, tmp_path / "none"], env=environment, check=False).returncode == 1


@pytest.mark.parametrize("provider", ["docker", "virtualbox"])
def test_vagrant_takes_the_description_of_each_provider(
    computer: Computer, tmp_path: Path, provider: str
) -> None:
    computer.put("VBoxManage", "echo 7.0.20r163906")
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    variables = {"PATH": path, "PROVIDER": provider, "VAGRANT_DOTFILE_PATH": str(tmp_path)}
    run = attempt("vagrant", "validate", cwd=ROOT, env=os.environ | variables)
    assert run.returncode == 0, run.stderr + run.stdout
