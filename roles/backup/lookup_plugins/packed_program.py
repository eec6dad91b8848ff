"""Lookup that packs a Python package into one executable file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: packed_program
author: the Play with Containers authors
short_description: Packs a Python package into one executable file, and gives its path
description:
  - The file is a ZIP archive that Python runs (docs.python.org, "zipapp"). The same sources always give the
    same file. It lies in Ansible's own temporary directory.
options:
  _terms:
    description: The directory of the package; its C(__main__) must have a function C(main).
    required: true
"""

EPOCH = (1980, 1, 1, 0, 0, 0)
START = """\
import sys

from {package}.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


def packed(package: Path) -> bytes:
    """Give the archive as bytes.

    Args:
        package: directory of the package.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", EPOCH), START.format(package=package.name))
        for path in sorted(package.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{package.name}/{path.name}", EPOCH), path.read_bytes())
    return b"#!/usr/bin/python3\n" + content.getvalue()


class LookupModule(LookupBase):
    """Entry point for Ansible."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Pack each package; returns the paths of the files."""
        paths = []
        for term in terms:
            package = Path(term)
            if not (package / "__main__.py").is_file():
                raise AnsibleError(f"{package} is no Python package with a __main__.py.")
            content = packed(package)
            name = f"{package.name}-{hashlib.sha256(content).hexdigest()[:12]}.pyz"
            path = Path(constants.DEFAULT_LOCAL_TMP) / name
            path.write_bytes(content)
            paths.append(str(path))
        return paths
