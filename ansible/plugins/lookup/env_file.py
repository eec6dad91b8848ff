"""Lookup plugin: the checked content of `.env`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
import env_file

DOCUMENTATION = """
name: env_file
author: the Play with Containers authors
short_description: The checked content of .env
description:
  - Reads a file of KEY=value lines with the project's own reader and fails with all that is wrong with it.
  - Where the file does not exist yet (check mode on a first run), the example file stands in for it, with
    passwords that are used nowhere.
options:
  _terms:
    description: Path of the file.
    required: true
"""


class LookupModule(LookupBase):
    """Entry point for Ansible."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        """Returns one dictionary for each path."""
        return [self._read(Path(term)) for term in terms]

    def _read(self, path: Path) -> dict[str, str]:
        try:
            if path.exists():
                return env_file.load(path)
            return env_file.preview(env_file.ROOT / ".env.example")
        except env_file.EnvFileError as error:
            raise AnsibleError("\n".join(error.problems)) from error
