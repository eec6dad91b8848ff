"""The module that writes secrets and configurations; tests/node looks at what it has written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plugin_loader import load_plugin

files = load_plugin("roles/container/library/container_files.py")


def test_a_file_is_replaced_and_who_has_the_old_one_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    files.write(str(path), b"old", os.getuid(), 0o400)
    with path.open() as reader:
        files.write(str(path), b"new", os.getuid(), 0o400)
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert files.is_so(str(path), os.getuid(), 0o400)
    assert not files.is_so(str(path), os.getuid(), 0o440)
    assert not files.is_so(str(path), os.getuid() + 1, 0o400)


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "secret"
    files.write(str(path), b"old", os.getuid(), 0o400)
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(str(path), b"new", os.getuid(), 0o400)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"secret": "old"}
