#!/usr/bin/python
"""Module: writes files that one container reads, in one go."""

from __future__ import annotations

import os
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: container_files
author: the Play with Containers authors
short_description: Writes files that one container reads, in one go
description:
  - Creates a directory and files in it that only one user may read. Each file is replaced as a whole, and
    only where its content, owner or mode differs. What else is in the directory stays.
options:
  directory:
    description: Where they are to be (mode 0500). Its parent is created, too (root's, mode 0711).
    required: true
    type: path
  contents:
    description: File name to content; each file has mode 0400. Never shown.
    required: true
    type: dict
  user:
    description: Number of the user and of the group.
    required: true
    type: int
"""


def is_so(path: str, user: int, mode: int) -> bool:
    """Say whether it exists with this owner, group and mode."""
    if not os.path.lexists(path):
        return False
    status = os.lstat(path)
    return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (user, user, mode)


def make_directory(path: str, user: int, mode: int) -> None:
    """Create a directory, or put its owner and mode right."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chown(path, user, user)
    os.chmod(path, mode)


def has_content(path: str, content: bytes) -> bool:
    """Say whether a file has just this content."""
    with open(path, "rb") as file:
        return file.read() == content


def write(path: str, content: bytes, user: int, mode: int) -> None:
    """Put a file in the place of what is there: who reads meanwhile has the old one or the new one."""
    handle, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchown(handle, user, user)
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main() -> None:
    """Entry point for Ansible."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "contents": {"type": "dict", "required": True, "no_log": True},
            "user": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    directory, user = module.params["directory"], module.params["user"]
    directories = [(os.path.dirname(directory), 0, 0o711), (directory, user, 0o500)]
    files = {
        os.path.join(directory, name): content.encode() for name, content in module.params["contents"].items()
    }
    try:
        wrong_directories = [entry for entry in directories if not is_so(*entry)]
        wrong_files = {
            path: content
            for path, content in files.items()
            if not is_so(path, user, 0o400) or not has_content(path, content)
        }
        if not module.check_mode:
            for path, owner, mode in wrong_directories:
                make_directory(path, owner, mode)
            for path, content in wrong_files.items():
                write(path, content, user, 0o400)
    except OSError as error:
        module.fail_json(msg=f"{error.strerror}: {error.filename or directory}")
    module.exit_json(changed=bool(wrong_directories or wrong_files))


if __name__ == "__main__":
    main()
