"""Encryption with age (https://age-encryption.org): nothing unencrypted, and no key, touches the disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from platform_backup import containers
from platform_backup.containers import pipe
from platform_backup.problem import BackupProblem

SUFFIX: Final = ".age"


@contextmanager
def encrypted(source: IO[bytes], recipient: str) -> Iterator[IO[bytes]]:
    """Give a stream encrypted for a public key; without one, as it is.

    Raises:
        BackupProblem: age failed.
    """
    if not recipient:
        yield source
        return
    with _age("--encrypt", "--recipient", recipient, stdin=source) as process:
        # Whoever writes into `source` learns from its end, not from ours, that nobody reads it.
        source.close()
        yield pipe(process.stdout)
        _finish(process)


@contextmanager
def decrypted(path: Path, key: str) -> Iterator[IO[bytes]]:
    """Open a file of a backup, decrypted with a key of age; without one, as it is.

    The key goes to age through a pipe.

    Raises:
        BackupProblem: the key is not one that the file is encrypted for, or the file is damaged.
    """
    if path.suffix != SUFFIX:
        with path.open("rb") as stream:
            yield stream
        return
    with _age("--decrypt", "--identity", "-", str(path), stdin=subprocess.PIPE) as process:
        try:
            pipe(process.stdin).write(key.encode())
            pipe(process.stdin).close()
        except BrokenPipeError:
            # What age did not like is said below.
            pass
        yield pipe(process.stdout)
        # Who reads only the beginning makes age fail, which then means nothing.
        if pipe(process.stdout).read(1) == b"":
            _finish(process)


@contextmanager
def _age(*arguments: str, stdin: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    if shutil.which("age") is None:
        raise BackupProblem("age is not installed on this machine: `apt-get install age` does it.")
    with subprocess.Popen(
        ["age", *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _finish(process: subprocess.Popen[bytes]) -> None:
    said = pipe(process.stderr).read().decode(errors="replace")
    if process.wait() != 0:
        lines = [line for line in said.splitlines() if line and "report unexpected" not in line]
        raise BackupProblem(f"age failed: {containers.last_line(chr(10).join(lines)).removeprefix('age: ')}")
