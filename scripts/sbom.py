#!/usr/bin/env python3
"""Writes bills of materials (CycloneDX) with syft: one for each image, and one of what a bundle installs.

    sbom.py DIRECTORY                        of the platform's images, which are built where they are missing
    sbom.py DIRECTORY --images FILE          of the images that FILE names, a line each
    sbom.py DIRECTORY --bundle BUNDLE        of what ./install of an unpacked bundle puts on a machine

A bill of the same image is the same file: what says when it was written, and its number, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".cache" / "sbom"
REQUIREMENTS: Final = ROOT / "requirements" / "sbom.txt"
SUFFIX: Final = ".cdx.json"
# What a wheel says of itself, and not of packages that it carries.
DESCRIPTION: Final = re.compile(r"[^/]+\.dist-info/METADATA")


class SbomError(RuntimeError):
    """No bill of materials can be written; the text is a sentence for the user."""


def run(*command: str | Path, **arguments: Any) -> str:
    """Return what a program printed; raises SbomError with the end of its complaint."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **arguments
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise SbomError(f"{Path(command[0]).name} failed:\n{reason}")
    return done.stdout


def syft() -> Path:
    """Install syft where it is missing or another version than the pinned one, and return its program."""
    program, made = ENVIRONMENT / "bin" / "syft", ENVIRONMENT / "made"
    if not made.is_file() or made.read_text() != REQUIREMENTS.read_text():
        run(sys.executable, "-m", "venv", "--clear", ENVIRONMENT)
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
        run(ENVIRONMENT / "bin" / "python", *pip, "--requirement", REQUIREMENTS)
        made.write_text(REQUIREMENTS.read_text())
    return program


def scan(source: str, name: str, version: str) -> dict[str, Any]:
    """Return the bill of materials of a source as syft names it, such as `dir:PATH`."""
    options = ("--quiet", "--source-name", name, "--source-version", version, "--output", "cyclonedx-json")
    bill: dict[str, Any] = json.loads(
        run(syft(), "scan", source, *options, env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"})
    )
    del bill["serialNumber"], bill["metadata"]["timestamp"]
    # It names the place where the source was.
    bill["metadata"]["component"].pop("bom-ref", None)
    return bill


def write(directory: Path, name: str, bill: dict[str, Any]) -> None:
    """Write a bill of materials, and say how much is in it."""
    file = directory / f"{name}{SUFFIX}"
    file.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    kinds = [component.get("purl", "").partition("/")[0] for component in bill["components"]]
    counted = f"{kinds.count('pkg:deb')} Debian packages, {kinds.count('pkg:pypi')} Python packages"
    print(f"  {file.name:<38} {counted}")


def write_images(directory: Path, images: list[str]) -> None:
    """Write the bill of materials of each image, by its name and tag."""
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        archive = Path(temporary) / "image.tar"
        for image in images:
            name, _, tag = image.rpartition(":")
            run("docker", "save", "--output", archive, image)
            write(directory, name, scan(f"docker-archive:{archive}", name, tag))


def build_images() -> list[str]:
    """Build what is missing of the platform's images; returns their names."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "images"
        extra = f"bundle_images_file={file}"
        run(
            "ansible-playbook",
            "ansible/bundle.yml",
            "--extra-vars",
            extra,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
        return file.read_text().split()


def lay_out(bundle: Path, machine: Path) -> None:
    """Lay out what a bundle installs as syft finds it on a machine, without what is in it."""
    (machine / "etc").mkdir()
    (machine / "etc" / "os-release").write_text(Path("/etc/os-release").read_text())
    packages = (bundle / "packages" / "Packages").read_text()
    (machine / "var/lib/dpkg").mkdir(parents=True)
    installed = re.sub("^(Package: .*)$", r"\1\nStatus: install ok installed", packages, flags=re.MULTILINE)
    (machine / "var/lib/dpkg/status").write_text(installed)
    for wheel in sorted((bundle / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            [described] = (name for name in archive.namelist() if DESCRIPTION.fullmatch(name))
            archive.extract(described, machine / "usr/lib/python3/site-packages")


def collections(bundle: Path) -> list[dict[str, str]]:
    """Return Ansible's collections, which syft does not know, as components."""
    with tarfile.open(bundle / "collections.tar.gz") as archive:
        manifests = [
            json.load(content)["collection_info"]
            for member in archive
            if member.name.endswith("/MANIFEST.json") and (content := archive.extractfile(member))
        ]
    return [
        {
            "type": "library",
            "name": f"{each['namespace']}.{each['name']}",
            "version": each["version"],
            "purl": f"pkg:generic/{each['namespace']}.{each['name']}@{each['version']}",
        }
        for each in manifests
    ]


def write_bundle(directory: Path, bundle: Path) -> None:
    """Write the bill of materials of what a bundle installs beside its images."""
    with tempfile.TemporaryDirectory() as temporary:
        lay_out(bundle, Path(temporary))
        bill = scan(f"dir:{temporary}", "bundle", bundle.name)
    bill["components"] += collections(bundle)
    write(directory, "bundle", bill)


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--bundle", type=Path)
    options = parser.parse_args()
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        if options.images or not options.bundle:
            write_images(
                options.directory, options.images.read_text().split() if options.images else build_images()
            )
        if options.bundle:
            write_bundle(options.directory, options.bundle)
    except SbomError as error:
        print(f"No bill of materials could be written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
