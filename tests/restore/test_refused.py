"""What is no good backup, or cannot be restored here: refused with a sentence, before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.node import Node
from tests.operations.operator import Operator
from tests.restore.backups import Backups, damaged_copy, flip_bit, rewrite

pytestmark = pytest.mark.timeout(3600)

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def backup(
    operator: Operator, node: Node, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A good backup; no test changes it."""
    return Backups(operator, node, env, tmp_path_factory.mktemp("copies")).make()


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def exchange_dumps(backup: Path) -> None:
    """Let the manifest give each database the other one's dump."""

    def change(values: dict[str, Any]) -> None:
        one, other = values["databases"]
        for key in ("file", "sha256", "bytes"):
            one[key], other[key] = other[key], one[key]

    rewrite(backup, change)


@pytest.mark.parametrize(
    ("damage", "mention"),
    [
        pytest.param(lambda b: cut_off(b / "movies.dump"), "it was cut off or changed", id="truncated dump"),
        pytest.param(lambda b: flip_bit(b / "movies.dump", 1000), "its checksum is wrong", id="flipped bit"),
        pytest.param(lambda b: (b / "orders.dump").unlink(), "cannot be read", id="missing dump"),
        pytest.param(lambda b: (b / "manifest.json").unlink(), "it has no manifest.json", id="no manifest"),
        pytest.param(exchange_dumps, "is a dump of the database orders, not of movies", id="wrong database"),
        pytest.param(
            lambda b: rewrite(b, lambda values: values["databases"].pop(0)),
            "has no database movies, only orders",
            id="a database is missing",
        ),
        pytest.param(
            lambda b: rewrite(b, lambda values: values["databases"][1].update(server_major=99)),
            "a newer server's dump cannot be restored",
            id="newer server",
        ),
        pytest.param(
            lambda b: rewrite(b, lambda values: values.update(format=2)), "has format 2", id="newer format"
        ),
        pytest.param(
            lambda b: rewrite(b, lambda values: values["databases"][0].update(database_bytes=10**15)),
            "needs up to",
            id="no room beside the old database",
        ),
    ],
)
def test_a_backup_that_is_not_good_changes_nothing(
    backups: Backups, backup: Path, tmp_path: Path, damage: Damage, mention: str
) -> None:
    damaged = damaged_copy(backup, tmp_path / "damaged")
    damage(damaged)
    backups.refused(damaged, mention)


def test_what_is_no_backup_at_all_is_refused_with_what_there_is(backups: Backups, backup: Path) -> None:
    backups.refused("2001-01-01T000000Z", "There is no backup 2001-01-01T000000Z", backup.name)
    backups.refused(backup, "Say which backup", operate_time="latest")
    backups.refused(backup, "There is no database films", "DATABASE=movies", operate_database="films")


def test_a_restore_asks_first(operator: Operator, backup: Path) -> None:
    operator.refused(
        "ansible/restore.yml", "Nothing was done", "replaces movies and orders", operate_from=str(backup)
    )


class Keys:
    """A pair of keys of age; the secret one is on this computer only."""

    def __init__(self, node: Node, directory: Path) -> None:
        made = node.run("age-keygen 2>/dev/null")
        self.secret = made.splitlines()[-1]
        self.public = made.split("public key: ")[1].split()[0]
        self.file = directory / "key.txt"
        self.file.write_text(made)


@pytest.fixture
def keys(operator: Operator, node: Node, tmp_path: Path) -> Iterator[Callable[[str], Keys]]:
    """Makes pairs of keys."""
    install = "apt-get install --yes --no-install-recommends age"
    node.run(f"{install} || {{ apt-get update && {install}; }}")

    def make(name: str) -> Keys:
        directory = tmp_path / name
        directory.mkdir()
        return Keys(node, directory)

    yield make
    # The settings of the description again.
    operator.run("ansible/backup.yml", backup_local_directory="")


def test_an_encrypted_backup_is_restored_with_its_key_only_and_the_key_is_not_left(
    backups: Backups, node: Node, keys: Callable[[str], Keys]
) -> None:
    mine, other = keys("mine"), keys("other")
    rows = backups.rows("movies")
    backup = backups.make(backup_recipient=mine.public)
    assert f"It is encrypted for {mine.public}" in backups.said
    for name in ("movies.dump.age", "orders.dump.age", "definitions.json.age"):
        assert (backup / name).read_bytes().startswith(b"age-encryption.org/v1\n")

    backups.refused(backup, "is encrypted for", "KEY=FILE")
    backups.refused(backup, "age failed", "no identity matched", operate_key=str(other.file))
    backups.refused(backup, "has no key", operate_key=str(backup / "manifest.json"))
    backups.restore(backup, operate_key=str(mine.file), operate_database="movies")
    assert backups.rows("movies") == rows
    for key in (mine, other):
        found = node.run(
            f"grep --recursive --files-with-matches --exclude-dir=docker {key.secret} "
            "/etc /home /root /run /tmp /var/backups /var/log /var/tmp /var/lib 2>/dev/null || true"
        )
        assert found == ""
    backups.discard()


def test_a_public_key_that_is_none_is_refused(backups: Backups) -> None:
    before = backups.on_the_machine()
    backups.fails("give a public key of age", backup_recipient="age1-misspelt")
    assert backups.on_the_machine() == before
