"""The files of a build context: their hash, and the archive that brings them to the machine."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from plugin_loader import load_plugin

lookup = load_plugin("roles/container/lookup_plugins/build_context_hash.py")
action = load_plugin("roles/container/action_plugins/container_build_context.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Returns a root with two folders, of which one is a context."""
    for name in ("app/Dockerfile", "app/package/code.py", "app/package/__pycache__/code.pyc", "other/file"):
        path = tmp_path / "srcs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "srcs/app/script").symlink_to(tmp_path / "srcs/other/file")
    (tmp_path / "srcs/app/Dockerfile").chmod(0o755)
    return tmp_path / "srcs"


def entries(packed: bytes) -> dict[str, tuple[int, bytes]]:
    """Returns the mode and content of each file in an archive."""
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        files = [member for member in tar.getmembers() if not member.isdir()]
        assert all(member.isfile() for member in files)
        return {
            member.name: (member.mode, content.read())
            for member in files
            if (content := tar.extractfile(member)) is not None
        }


def test_the_archive_has_the_files_that_are_hashed_and_the_certificates(root: Path) -> None:
    certificate = root.parent / "authority.crt"
    certificate.write_text("PEM")
    certificate.chmod(0o600)
    found = entries(action.archive(root, lookup.LookupModule.files(root, ["app"]), [certificate]))
    assert sorted(found) == [
        "app/Dockerfile",
        "app/package/code.py",
        "app/script",
        "certificates/authority.crt",
    ]
    assert found["app/Dockerfile"] == (0o755, b"app/Dockerfile")
    assert found["app/script"][1] == b"other/file"
    assert found["certificates/authority.crt"] == (0o644, b"PEM")


def test_there_is_a_directory_for_certificates_without_any(root: Path) -> None:
    with tarfile.open(fileobj=BytesIO(action.archive(root, [], []))) as tar:
        assert [(member.name, member.isdir()) for member in tar] == [("certificates", True)]


def test_a_hash_changes_with_content_name_and_executable_bit_alone(root: Path) -> None:
    first = lookup.context_hash(root, ["app"])
    (root / "other/new").write_text("")
    (root / "app/package/__pycache__/new.pyc").write_text("")
    (root / "app/package/code.py").touch()
    assert lookup.context_hash(root, ["app"]) == first
    seen = {first}
    for change in (
        lambda: (root / "app/package/code.py").write_text("new"),
        lambda: (root / "app/package/code.py").rename(root / "app/package/renamed.py"),
        lambda: (root / "app/Dockerfile").chmod(0o644),
    ):
        change()
        seen.add(lookup.context_hash(root, ["app"]))
    assert len(seen) == 4


def test_a_term_that_does_not_exist_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        lookup.context_files(root, ["app", "missing"])
