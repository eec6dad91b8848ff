"""Lookup plugin: one hash over the files of a build context."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: build_context_hash
author: the Play with Containers authors
short_description: One hash over the files of a build context
description:
  - Hashes the names, contents and executable bits of every file below the given folders, in a fixed order, so
    that the same files give the same hash on any machine and at any time.
  - Byte code that Python leaves behind is not part of it.
options:
  _terms:
    description: Folders or files, relative to O(root).
    required: true
  root:
    description: The folder that the terms are relative to.
    required: true
    type: path
"""


def context_files(root: Path, terms: list[str]) -> list[Path]:
    """Lists the files of a build context in a fixed order.

    Args:
        root: the folder that the terms are relative to.
        terms: folders or files below it.

    Raises:
        FileNotFoundError: a term that does not exist.
    """
    files: set[Path] = set()
    for term in terms:
        path = root / term
        if path.is_dir():
            files.update(found for found in path.rglob("*") if found.is_file())
        elif path.is_file():
            files.add(path)
        else:
            raise FileNotFoundError(path)
    return sorted(file for file in files if "__pycache__" not in file.parts)


def context_hash(root: Path, terms: list[str]) -> str:
    """Hashes names, executable bits and contents of a build context; arguments as for `context_files`."""
    total = hashlib.sha256()
    for file in context_files(root, terms):
        executable = bool(file.stat().st_mode & 0o100)
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root).as_posix()}\0{executable}\0{content}\n".encode())
    return total.hexdigest()


class LookupModule(LookupBase):
    """Entry point for Ansible."""

    # For container_build_context, which brings these files to the machine.
    files = staticmethod(context_files)

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Returns the hash as a list of one."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [context_hash(Path(self.get_option("root")), terms)]
        except FileNotFoundError as error:
            raise AnsibleError(
                f"The build context {error} does not exist. Check the service's entry in group_vars."
            ) from error
