"""The parts of the backup program that need no database: manifest, store, jobs, and how it is packed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from plugin_loader import load_plugin
from tests.library.programs import attempt

from platform_backup import job
from platform_backup.kept import kept_on
from platform_backup.manifest import (
    DatabaseDump,
    Manifest,
    Orders,
    check_files,
    digest_of,
)
from platform_backup.problem import BackupProblem
from platform_backup.restore import open_source
from platform_backup.store import Store, require_space, size

ROOT: Final = Path(__file__).parents[3]


def manifest_of(directory: Path) -> Manifest:
    """Describe a backup with one dump, which is written."""
    content = b"PGDMP a dump"
    (directory / "movies.dump").write_bytes(content)
    dump = DatabaseDump(
        file="movies.dump",
        sha256=digest_of(directory / "movies.dump"),
        bytes=len(content),
        name="movies",
        rows={"public.movies": 3, "public.alembic_version": 1},
        database_bytes=1000,
        server_version="15.1",
        server_major=15,
        schema_revision="0001",
    )
    return Manifest("2026-01-02T03:04:05Z", "host", (dump,), None, Orders(1, 0, 2), None)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of one database."""
    directory = tmp_path / "backup"
    directory.mkdir()
    (directory / "manifest.json").write_text(manifest_of(directory).to_json())
    return directory


def test_a_manifest_is_read_as_it_was_written(backup: Path) -> None:
    manifest = Manifest.read(backup)
    assert manifest == manifest_of(backup)
    assert manifest.orders.waiting == 3
    assert manifest.databases[0].table_rows == {"public.movies": 3}
    check_files(backup, manifest.files)


def test_every_flipped_bit_of_a_manifest_is_found(backup: Path) -> None:
    path = backup / "manifest.json"
    good = path.read_bytes()
    for position in range(len(good)):
        for bit in range(8):
            damaged = bytearray(good)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found = Manifest.read(backup)
            except BackupProblem:
                continue
            # Another way to write the same, such as a space that became a line break.
            assert found == manifest_of(backup), (position, bit)


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "{", '{"sha256": 1}'])
def test_what_is_no_manifest_is_refused_with_a_sentence(backup: Path, content: str) -> None:
    (backup / "manifest.json").write_text(content)
    with pytest.raises(BackupProblem, match=r"manifest\.json"):
        Manifest.read(backup)


def test_a_key_is_asked_for_before_anything_is_read(backup: Path) -> None:
    manifest = manifest_of(backup)
    encrypted = Manifest(manifest.made_at, "host", manifest.databases, None, manifest.orders, "age1xyz")
    (backup / "manifest.json").write_text(encrypted.to_json())
    (backup / "movies.dump").unlink()
    with pytest.raises(BackupProblem, match="is encrypted for age1xyz"):
        open_source(backup, ["movies"], key_given=False)
    with pytest.raises(BackupProblem, match="cannot be read"):
        open_source(backup, ["movies"], key_given=True)


def fill(store: Store, name: str) -> None:
    directory = store.directory / name
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text("{}")


def test_a_new_backup_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "backups")
    with pytest.raises(ZeroDivisionError), store.new() as (_, directory):
        (directory / "manifest.json").write_text(str(1 // 0))
    assert list(store.directory.iterdir()) == []
    with store.new() as (name, directory):
        (directory / "manifest.json").write_text("{}")
        assert store.names() == []
    assert store.names() == [name]
    assert store.directory.stat().st_mode & 0o777 == 0o700


def test_what_a_power_cut_has_left_is_removed_by_the_next_backup(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, "2026-01-01T000000Z.partial")
    assert store.names() == []
    with store.new() as (name, directory):
        (directory / "manifest.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_newest_backups_and_the_young_ones_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    young = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(time.time() - 3600))
    names = [f"2020-01-0{day}T000000Z" for day in range(1, 6)] + [young]
    for name in names:
        fill(store, name)
    assert store.prune(keep=3, keep_days=30) == names[2::-1]
    assert store.names() == [young, *names[4:2:-1]]
    assert store.prune(keep=0, keep_days=0) == names[4:2:-1]
    assert store.names() == [young], "the newest stays, whatever is asked for"


def test_a_backup_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(BackupProblem, match="It has none: `make backup` makes one"):
        store.path("2026-01-01T000000Z")
    fill(store, "2026-01-02T000000Z")
    with pytest.raises(BackupProblem, match="It has 2026-01-02T000000Z"):
        store.path("../2026-01-02T000000Z")


def test_too_little_room_is_a_sentence_with_what_is_there(tmp_path: Path) -> None:
    require_space(tmp_path, 1, 0, "The backup")
    with pytest.raises(BackupProblem, match=r"The backup needs up to 1024\.0 GiB"):
        require_space(tmp_path, 2**40, 2**50, "The backup")
    assert size(1536) == "2 KiB"


def test_what_a_restore_has_kept_is_found_on_the_volume(tmp_path: Path) -> None:
    for name in ("main", "restored-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "PG_VERSION").write_text("15\n")
    assert kept_on(tmp_path, "movies") == []
    (tmp_path / "previous").symlink_to("main")
    (tmp_path / "current-15").symlink_to("restored-1")
    assert [item["name"] for item in kept_on(tmp_path, "movies")] == ["movies"]
    # A change was cut off between its two links.
    (tmp_path / "previous").unlink()
    (tmp_path / "previous").symlink_to("restored-1")
    assert kept_on(tmp_path, "movies") == []


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory of jobs of the test's own; what runs in it is ended."""
    monkeypatch.setattr(job, "DIRECTORY", tmp_path / "run")
    yield
    job.stop()


def wait_for(path: Path) -> Callable[[job.Job], dict[str, object]]:
    """Give work that goes on until a file is there."""

    def work(running: job.Job) -> dict[str, object]:
        running.progress("something")
        while not path.exists():
            time.sleep(0.01)
        return {"answer": 42}

    return work


@pytest.mark.usefixtures("jobs")
def test_a_job_tells_its_progress_and_gives_its_result(tmp_path: Path) -> None:
    work = wait_for(tmp_path / "go on")
    job.start(work, limit_seconds=60, take_over=False)
    while (state := job.watch(0.01))["progress"] != "something":
        assert state["state"] == "running"
    with pytest.raises(BackupProblem, match="Another backup or restore is at work"):
        job.start(work, limit_seconds=60, take_over=False)
    (tmp_path / "go on").touch()
    assert job.watch(30)["result"] == {"answer": 42}


@pytest.mark.usefixtures("jobs")
def test_a_job_that_is_told_to_end_undoes_what_it_did(tmp_path: Path) -> None:
    undone = tmp_path / "undone"

    def work(running: job.Job) -> dict[str, object]:
        try:
            return wait_for(tmp_path / "never")(running)
        finally:
            undone.touch()

    job.start(work, limit_seconds=60, take_over=False)
    job.start(work, limit_seconds=60, take_over=True)
    assert undone.exists()
    assert job.watch(0)["state"] == "running"
    job.stop()
    assert job.watch(30)["error"] == "It was told to end, and was undone."


@pytest.mark.usefixtures("jobs")
def test_a_job_that_is_told_to_end_before_it_has_begun_its_work_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def close_and_dawdle(number: int) -> None:
        close(number)
        time.sleep(0.5)

    # Closing the pipe is what tells the caller that the job has begun.
    monkeypatch.setattr(os, "close", close_and_dawdle)
    job.start(wait_for(tmp_path / "never"), limit_seconds=60, take_over=False)
    job.stop()
    assert job.watch(30)["error"] == "It was told to end, and was undone."


@pytest.mark.usefixtures("jobs")
def test_a_job_that_is_killed_or_fails_or_takes_too_long_says_so(tmp_path: Path) -> None:
    wait = wait_for(tmp_path / "never")

    def fail(_: job.Job) -> dict[str, object]:
        raise BackupProblem("It cannot be done.")

    def break_down(_: job.Job) -> dict[str, object]:
        raise ZeroDivisionError

    job.start(wait, limit_seconds=60, take_over=False)
    os.kill(job.watch(0)["process"], signal.SIGKILL)
    assert "was killed. Run it again." in job.watch(30)["error"]
    job.start(fail, limit_seconds=60, take_over=False)
    assert job.watch(30)["error"] == "It cannot be done."
    job.start(break_down, limit_seconds=60, take_over=False)
    assert "The program itself failed: ZeroDivisionError()" in job.watch(30)["error"]
    job.start(wait, limit_seconds=1, take_over=False)
    assert "longer than 1 s" in job.watch(30)["error"]


packer = load_plugin("roles/backup/lookup_plugins/packed_program.py")


def test_the_packed_program_is_always_the_same_and_runs(backup: Path, tmp_path: Path) -> None:
    package = ROOT / "roles/backup/files/platform_backup"
    content = packer.packed(package)
    assert content == packer.packed(package)
    program = tmp_path / "program"
    program.write_bytes(content)
    done = attempt(sys.executable, program, "check", backup)
    assert done.returncode == 0, done.stderr
    assert '"databases": ["movies"]' in done.stdout
    (backup / "movies.dump").write_bytes(b"PGDMP a dumb")
    done = attempt(sys.executable, program, "check", backup)
    assert done.returncode == 1
    assert "movies.dump was changed or damaged" in done.stderr
