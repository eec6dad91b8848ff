"""Makes every Python program of an environment start in the same way, whatever the caller's environment is.

    python start_programs.py BIN ROOT

pip writes the interpreter's path into the first line of each program, where neither a quote nor a dollar
sign can be escaped, and the program then runs in the caller's locale, which Ansible refuses unless it exists
here and is UTF-8. So each program begins with a line that hands it to BIN/start-program.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

START = "start-program"
# A shell runs the second line; Python reads the lines as one text that nothing uses.
HEADER = f"""\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/{START}" "$0" "$@"
' '''
"""
# What pip writes: one line, or the same three where the path does not fit into one.
MADE_BY_PIP = re.compile(rb"\A#!(?:[^\n]*python[^\n]*\n|/bin/sh\n'''exec' [^\n]*\n' '''\n)")


def start_program(root: Path) -> str:
    """Give the text of the program that all others are started through."""
    configuration = shlex.quote(str(root / "ansible.cfg"))
    return f"""\
#!/bin/sh
# Made by scripts/lib/start_programs.py. The locale is the one that every Debian and Ubuntu has, and
# ansible.cfg is found from any folder.
export LC_ALL=C.UTF-8
[ -n "${{ANSIBLE_CONFIG-}}" ] || [ -e ansible.cfg ] || export ANSIBLE_CONFIG={configuration}
exec "$(dirname -- "$0")/python" "$@"
"""


def main(folder: Path, root: Path) -> None:
    """Change the programs of a folder."""
    start = folder / START
    start.write_text(start_program(root), encoding="utf-8")
    start.chmod(0o755)
    for program in folder.iterdir():
        if program.is_symlink() or program == start:
            continue
        content = program.read_bytes()
        changed = MADE_BY_PIP.sub(HEADER.encode().replace(b"\\", rb"\\"), content)
        if changed != content:
            program.write_bytes(changed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
