"""Runs the linters, two at a time, each to its end; see scripts/lint."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tracked_files import tracked_files

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / "bin"
AT_ONCE = 2
# EX_TEMPFAIL of sysexits.h: a check could not be made here, and says why.
EXIT_SKIPPED = 75
PYTHON_FOLDERS = ("benchmarks", "roles/backup/files", "scripts", "srcs", "tests", "molecule")


@dataclass(frozen=True)
class Check:
    """One linter with its arguments. Without `files` it is for the whole project."""

    name: str
    command: tuple[str, ...]
    files: tuple[str, ...] | None = field(default=None)


@dataclass(frozen=True)
class Result:
    """How a check ended; `seconds` is what it took."""

    check: Check
    passed: bool
    seconds: float
    output: str
    skipped: bool = False


def checks() -> Iterator[Check]:
    """List the checks, those that take longest first."""
    files = tracked_files(ROOT)
    python = [name for name in files if name.endswith(".py")]
    yaml = [name for name in files if name.endswith((".yml", ".yaml"))]
    ansible = any(name.startswith(("roles/", "ansible/")) or name == "site.yml" for name in yaml)
    folders = [folder for folder in PYTHON_FOLDERS if any(name.startswith(folder + "/") for name in python)]

    yield Check("ansible-lint", ("ansible-lint", "--offline", "--nocolor"), None if ansible else ())
    yield Check("mypy", ("mypy",), tuple(folders))
    yield Check("yamllint", ("yamllint", "--strict", "--format", "parsable"), tuple(yaml))
    yield Check("ruff check", ("ruff", "check", "--quiet", "--output-format", "concise"), tuple(python))
    yield Check("ruff format", ("ruff", "format", "--check", "--output-format", "concise"), tuple(python))
    yield Check("shellcheck", ("shellcheck",), tuple(name for name in files if _is_shell(name)))
    dockerfiles = tuple(name for name in files if Path(name).name.split(".")[0] == "Dockerfile")
    yield Check("hadolint", ("hadolint", "--no-color"), dockerfiles)
    openapi = tuple(name for name in files if Path(name).name == "openapi.yaml")
    yield Check("openapi", ("openapi-spec-validator",), openapi)
    yield Check("argument specs", ("python", "scripts/check_argument_specs.py"))
    yield Check("generated pages", ("python", "scripts/generate_docs.py", "--check"))
    yield Check("hygiene", ("python", "scripts/check_hygiene.py"))
    yield Check("pins", ("python", "scripts/check_pins.py"))
    yield Check("secrets", ("python", "scripts/check_secrets.py"))
    yield Check("vulnerabilities", ("python", "scripts/check_vulnerabilities.py"))


def run(check: Check) -> Result:
    """Run one check with the tools of .venv only."""
    started = time.monotonic()
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            [str(TOOLS / check.command[0]), *check.command[1:], *(check.files or ())],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        return Result(check, False, 0, f"{check.command[0]} is not in .venv: run scripts/setup.\n")
    skipped = done.returncode == EXIT_SKIPPED
    passed = done.returncode == 0 or skipped
    return Result(check, passed, time.monotonic() - started, done.stdout, skipped)


def main(names: list[str]) -> int:
    """Run the checks that are named, or all; returns the exit code."""
    try:
        known = list(checks())
    except subprocess.CalledProcessError:
        print("There is no git repository here, and git knows which files are checked: clone the repository.")
        return 2
    unknown = set(names) - {check.name for check in known}
    if unknown:
        print(f"There is no check {', '.join(sorted(unknown))}: {', '.join(c.name for c in known)}.")
        return 2
    wanted = [check for check in known if not names or check.name in names]
    failed, skipped = [], []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = []
        for check in wanted:
            if check.files == ():
                print(f"  --    {check.name:<16} nothing to check")
            else:
                running.append(pool.submit(run, check))
        for future in as_completed(running):
            result = future.result()
            word = "skip" if result.skipped else "ok" if result.passed else "FAIL"
            print(f"  {word:<5} {result.check.name:<16} {result.seconds:5.1f} s", flush=True)
            if result.skipped:
                skipped.append(result.check.name)
            if not result.passed:
                failed.append(result.check.name)
            if result.output.strip() and (result.skipped or not result.passed):
                print(result.output.rstrip() + "\n", flush=True)
    if failed:
        print(f"{len(failed)} of {len(running)} checks failed: {', '.join(sorted(failed))}.")
        return 1
    if skipped:
        print(f"{len(running) - len(skipped)} checks passed; skipped: {', '.join(sorted(skipped))}.")
        return 0
    print(f"All {len(running)} checks passed.")
    return 0


def _is_shell(name: str) -> bool:
    if name.endswith((".sh", ".bash")):
        return True
    if Path(name).suffix:
        return False
    with (ROOT / name).open("rb") as stream:
        first = stream.readline(80)
    return first.startswith(b"#!") and first.split()[-1].endswith((b"/sh", b"/bash", b"bash"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
