"""`python -m billing_app dead-letters list|show|retry|drop`: what an operator does with dead letters."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from pika.exceptions import AMQPError

from billing_app.dead_letter_box import Action, BoxError, DeadLetter, DeadLetterBox
from billing_app.properties import tolerate_unreadable_headers
from platform_common.broker import BrokerSettings
from platform_common.settings import Environment

SHOWN_ID_CHARACTERS: Final = 8
SHOWN_BODY_CHARACTERS: Final = 100
_FAILED: Final = 1


def run_dead_letters(arguments: Sequence[str]) -> int:
    """Run one command on the dead letters, and print what came of it; returns the exit code.

    Raises:
        SettingsError: a setting is missing or malformed.
    """
    options = _parser().parse_args(arguments)
    env = Environment()
    tolerate_unreadable_headers()
    box = DeadLetterBox(
        BrokerSettings.read(env), env.text("BILLING_DEAD_LETTER_QUEUE", "billing_dead_letter")
    )
    try:
        return _COMMANDS[options.command](box, options)
    except BoxError as error:
        print(error, file=sys.stderr)
    except (AMQPError, OSError) as error:
        print(f"The broker cannot be reached or used ({error!r}): is it running?", file=sys.stderr)
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dead-letters", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _COMMANDS:
        command = commands.add_parser(name)
        command.add_argument("--id", type=_dead_letter_id, help="its id, or how that begins")
        command.add_argument("--reason", help="only those with this reason code")
        command.add_argument("--format", choices=["table", "json"], default="table")
        command.add_argument("--limit", type=int, default=100, help="how many to list at most")
    return parser


def _dead_letter_id(text: str) -> str:
    if len(text) < SHOWN_ID_CHARACTERS:
        raise argparse.ArgumentTypeError(
            f"give at least the {SHOWN_ID_CHARACTERS} characters that are listed"
        )
    return text


def _is_meant(letter: DeadLetter, options: argparse.Namespace) -> bool:
    return (options.id is None or letter.id.startswith(options.id)) and (
        options.reason is None or letter.reason_code == options.reason
    )


def _list(box: DeadLetterBox, options: argparse.Namespace) -> int:
    matching = 0
    shown: list[DeadLetter] = []

    def look(letter: DeadLetter) -> Action:
        nonlocal matching
        if _is_meant(letter, options):
            matching += 1
            if len(shown) < options.limit:
                shown.append(letter)
        return Action.KEEP

    box.visit(look)
    if options.format == "json":
        print(json.dumps([_document(letter) for letter in shown], indent=2))
        return os.EX_OK
    if not matching:
        print("There are no dead letters." if _takes_all(options) else "No dead letter is like that.")
        return os.EX_OK
    print(f"{'no.':>4}  {'id':8}  {'since (UTC)':19}  {'reason':20}  {'retries':>7}  order or user")
    for number, letter in enumerate(shown, 1):
        since = letter.time.partition("+")[0].replace("T", " ")
        whose = letter.field("order_id") or letter.field("user_id") or "-"
        print(
            f"{number:4}  {letter.id[:SHOWN_ID_CHARACTERS]}  {since or 'not known':19}  "
            f"{_printable(letter.reason_code):20}  {letter.retries:7}  {_printable(whose)[:60]}"
        )
        print(f"      {_printable(letter.reason)}")
        print(f"      {_start_of(letter.body)}")
    if matching > len(shown):
        print(f"{matching - len(shown):,} more are not shown.")
    return os.EX_OK


def _show(box: DeadLetterBox, options: argparse.Namespace) -> int:
    found: list[DeadLetter] = []

    def look(letter: DeadLetter) -> Action:
        if _is_meant(letter, options):
            found.append(letter)
        return Action.KEEP

    if options.id is None:
        raise BoxError("Which one? Give its id, as the list shows it.")
    box.visit(look)
    if not found:
        raise _no_such(options)
    for letter in found:
        document = _document(letter)
        if options.format == "json":
            print(json.dumps(document, indent=2))
            continue
        for name, value in document.items():
            if name not in {"body", "body_base64"}:
                print(f"{name + ':':18} {_printable(value if isinstance(value, str) else json.dumps(value))}")
        print(f"body ({len(letter.body):,} bytes):")
        print(_printable(letter.body.decode("utf-8", "backslashreplace"), keep="\n\t"))
    return os.EX_OK


def _retry(box: DeadLetterBox, options: argparse.Namespace) -> int:
    return _act(box, options, Action.RETRY, "put back into the queue of orders")


def _drop(box: DeadLetterBox, options: argparse.Namespace) -> int:
    if options.id is None and options.reason is None:
        raise BoxError("Which ones? Give an id or a reason code, as the list shows them.")
    return _act(box, options, Action.DROP, "removed for good")


def _act(box: DeadLetterBox, options: argparse.Namespace, action: Action, done: str) -> int:
    number = 0

    def decide(letter: DeadLetter) -> Action:
        nonlocal number
        if not _is_meant(letter, options):
            return Action.KEEP
        number += 1
        return action

    box.visit(decide)
    if number == 0 and not _takes_all(options):
        raise _no_such(options)
    what = (
        "There are no dead letters" if number == 0 else f"{number:,} dead letter{'s' * (number != 1)} {done}"
    )
    print(f"{what}.")
    return os.EX_OK


_COMMANDS: Final[dict[str, Callable[[DeadLetterBox, argparse.Namespace], int]]] = {
    "list": _list,
    "show": _show,
    "retry": _retry,
    "drop": _drop,
}


def _takes_all(options: argparse.Namespace) -> bool:
    return options.id is None and options.reason is None


def _no_such(options: argparse.Namespace) -> BoxError:
    meant = " and ".join(
        f"the {name} {_printable(value)}"
        for name, value in (("id", options.id), ("reason code", options.reason))
        if value is not None
    )
    return BoxError(f"There is no dead letter with {meant}: the list shows which there are.")


def _document(letter: DeadLetter) -> dict[str, Any]:
    properties = letter.properties
    document: dict[str, Any] = {
        "id": letter.id,
        "time": letter.time or None,
        "reason_code": letter.reason_code,
        "reason": letter.reason,
        "retries": letter.retries,
        "order_id": letter.field("order_id") or None,
        "user_id": letter.field("user_id") or None,
        "message_id": _text(properties.message_id),
        "content_type": _text(properties.content_type),
        "headers": {_text(name): _text(value) for name, value in letter.headers.items()},
    }
    try:
        document["body"] = letter.body.decode()
    except UnicodeDecodeError:
        document["body_base64"] = base64.b64encode(letter.body).decode()
    return document


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _start_of(body: bytes) -> str:
    if not body:
        return "(an empty body)"
    text = body[: SHOWN_BODY_CHARACTERS * 4].decode("utf-8", "backslashreplace")
    start = _printable(text)[:SHOWN_BODY_CHARACTERS]
    return start if len(text) <= SHOWN_BODY_CHARACTERS and len(body) <= len(text) * 4 else f"{start}…"


def _printable(text: str, keep: str = "") -> str:
    """Return `text` without what a terminal would obey."""
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )
