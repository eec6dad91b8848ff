"""Action plugin: brings the files of a build context to the machine, in one step."""

from __future__ import annotations

import shlex
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

DOCUMENTATION = """
name: container_build_context
author: the Play with Containers authors
short_description: Brings the files of a build context to the machine, in one step
description:
  - Sends the files that the lookup C(build_context_hash) hashes as one archive through the connection, and
    unpacks them in a directory that only their owner can read. What the directory held before is removed.
  - A run with C(--check) skips it.
options:
  root:
    description: The folder on the control node that O(paths) are relative to.
    required: true
    type: path
  paths:
    description: Folders or files of the context.
    required: true
    type: list
    elements: str
  certificates:
    description:
      - Files on the control node that go to C(certificates) of the context, a directory that is always there.
    default: []
    type: list
    elements: path
  dest:
    description: The directory on the machine.
    required: true
    type: path
"""


def archive(root: Path, files: list[Path], certificates: list[Path]) -> bytes:
    """Return a compressed tar archive of the context.

    Args:
        root: the folder that the names in the archive are relative to.
        files: below the root.
        certificates: from anywhere.
    """
    directory = tarfile.TarInfo("certificates")
    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", dereference=True) as tar:
        tar.addfile(directory)
        for file in files:
            tar.add(file, file.relative_to(root))
        for file in certificates:
            entry = tar.gettarinfo(file, f"certificates/{file.name}")
            entry.mode = 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)
    return packed.getvalue()


class ActionModule(ActionBase):
    """Entry point for Ansible."""

    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Bring the context to the machine."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "root": {"type": "path", "required": True},
                "paths": {"type": "list", "elements": "str", "required": True},
                "certificates": {"type": "list", "elements": "path", "default": []},
                "dest": {"type": "path", "required": True},
            }
        )
        root = Path(arguments["root"])
        try:
            # The same files as in the hash, which is the image's tag.
            files = lookup_loader.get("build_context_hash").files(root, arguments["paths"])
            packed = archive(root, files, [Path(name) for name in arguments["certificates"]])
        except OSError as error:
            raise AnsibleActionFail(f"The build context cannot be read: {error}") from error
        dest = shlex.quote(arguments["dest"])
        command = (
            f"umask 077 && rm -rf {dest} && mkdir -p {dest}"
            f" && tar --extract --gzip --no-same-owner --directory {dest}"
        )
        unpacked = self._low_level_execute_command(command, in_data=packed)
        if unpacked["rc"] != 0:
            raise AnsibleActionFail(
                f"The build context cannot be unpacked in {arguments['dest']} on the machine: "
                + (to_text(unpacked["stderr"]) or to_text(unpacked["stdout"])).strip()
            )
        return result | {"changed": False}
