"""The command: `play-with-containers-backup COMMAND`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from platform_backup import create, job, kept, machine_lock, restore, schedule, share
from platform_backup.manifest import Manifest, check_files
from platform_backup.problem import BackupProblem
from platform_backup.settings import Settings
from platform_backup.store import Store


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        answer = options.command(options)
    except BackupProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    if answer is not None:
        print(answer if isinstance(answer, str) else json.dumps(answer))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="play-with-containers-backup", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], Any], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    add("scheduled", _scheduled, "make a backup, as the timer does")
    for name, work, text in (
        ("create", _create, "begin a backup"),
        ("load", _load, "begin to fill what is beside the databases in use; the key is the standard input"),
    ):
        command = add(name, partial(_start, work), text)
        command.add_argument("--take-over", action="store_true", help="end another one that is at work")
        if name == "create":
            command.add_argument("--drain-seconds", type=float, default=0)
        else:
            command.add_argument("--database", action="append", default=[])
            command.add_argument(
                "--beside", choices=restore.BESIDE, required=True, help="what was made to be filled"
            )
            command.add_argument("directory", type=Path)
    watch = add(
        "watch", lambda options: _watch(options.seconds), "tell how it goes, at its end or after a while"
    )
    watch.add_argument("--seconds", type=float, default=5)
    add("stop", lambda _: job.stop(), "end what is at work, and undo it")
    check = add("check", _check, "check a backup's files against its manifest")
    check.add_argument("--database", action="append", default=[])
    check.add_argument("--with-key", action="store_true", help="there is a key for an encrypted one")
    check.add_argument(
        "--servers", action="store_true", help="and against the servers; the key is read from standard input"
    )
    check.add_argument("directory", type=Path)
    add(
        "list",
        lambda _: _list(Settings.read()),
        "list the backups, and what is kept of before restores",
    )
    find = add(
        "find", lambda options: str(Store(Settings.read().directory).path(options.name)), "give its directory"
    )
    find.add_argument("name")
    offer = add("share", _share, "let a user read a backup while it is copied")
    offer.add_argument("name")
    offer.add_argument("user")
    add("unshare", lambda _: share.unshare(Store(Settings.read().directory)), "the end of that")
    return parser


def _start(work: Callable[..., dict[str, Any]], options: argparse.Namespace) -> None:
    settings = Settings.read()
    options.key = sys.stdin.read() if work is _load else ""
    job.start(
        partial(work, settings, options), limit_seconds=settings.limit_seconds, take_over=options.take_over
    )


def _create(settings: Settings, options: argparse.Namespace, running: job.Job) -> dict[str, Any]:
    share.unshare(Store(settings.directory))
    return create.create(settings, running.progress, drain_seconds=options.drain_seconds)


def _load(settings: Settings, options: argparse.Namespace, running: job.Job) -> dict[str, Any]:
    return restore.load(_source(settings, options), options.beside, running.progress)


def _source(settings: Settings, options: argparse.Namespace) -> restore.Source:
    manifest = Manifest.read(options.directory)
    return restore.Source(options.directory, manifest, settings.named(options.database), options.key)


def _watch(seconds: float) -> dict[str, Any]:
    state = job.watch(seconds)
    if "progress" in state:
        print(state["progress"], file=sys.stderr)
    return state


def _scheduled(_options: argparse.Namespace) -> str:
    settings = Settings.read()
    with (
        machine_lock.machine_lock(settings.limit_seconds),
        job.only_one(),
        job.bounded(settings.limit_seconds),
    ):
        try:
            done = create.create(settings, lambda _: None)
        except job.Ended as ended:
            raise BackupProblem(str(ended)) from ended
    return str(done["text"])


def _check(options: argparse.Namespace) -> dict[str, Any]:
    manifest = Manifest.read(options.directory)
    wanted = options.database or [dump.name for dump in manifest.databases]
    options.key = sys.stdin.read() if options.servers else ""
    key_given = options.with_key or bool(options.key.strip()) or not options.database
    restore.open_source(options.directory, wanted, key_given=key_given)
    if options.servers:
        settings = Settings.read()
        restore.check(_source(settings, options), settings.reserve_bytes)
    if not options.database:
        check_files(options.directory, manifest.files)
    return {
        "made_at": manifest.made_at,
        "host": manifest.host,
        "databases": [dump.name for dump in manifest.databases],
        "files": [file.file for file in manifest.files],
        "bytes": sum(file.bytes for file in manifest.files),
        "encrypted_for": manifest.encrypted_for,
    }


def _list(settings: Settings) -> dict[str, Any]:
    store = Store(settings.directory)
    return {
        "directory": str(settings.directory),
        "backups": store.names(),
        "failed": schedule.last_failed(),
        "kept": [item for database in settings.databases for item in kept.kept(database)],
    }


def _share(options: argparse.Namespace) -> str:
    return str(share.share(Store(Settings.read().directory), options.name, options.user))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
