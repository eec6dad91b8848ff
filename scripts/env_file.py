#!/usr/bin/env python3
"""Checks and completes `.env`, the file that holds this installation's accounts, passwords and addresses.

The keys and their rules are in `RULES` and `OPTIONAL_RULES`; `.env.example` is the file to start from.
The syntax is python-dotenv's, without interpolation: a `$` in a password stands for itself.
"""

from __future__ import annotations

import argparse
import difflib
import io
import ipaddress
import os
import re
import secrets
import string
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.community.postgresql.plugins.module_utils.saslprep import saslprep
from dotenv.parser import Binding, parse_stream

ROOT = Path(__file__).resolve().parent.parent
EXIT_BAD_FILE = 2
PASSWORD_LENGTH = 32
PASSWORD_MINIMUM = 12
# Bytes. AMQP's first frame has 4096 for the password and all else that a client says of itself (RabbitMQ's
# frame_max before it is negotiated), and an HTTP server takes headers of some kilobytes.
SECRET_MAXIMUM = 512
TOKEN_MINIMUM = 16
EXTRA_PREFIX = "EXTRA_"
PASSWORD_SUFFIXES = ("_PASSWORD", "_PASS")

# PostgreSQL cuts a longer identifier without an error (manual, 4.1.1: NAMEDATALEN - 1 bytes).
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# RFC 6750, section 2.1: the characters of a bearer token.
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# What PostgreSQL takes for a password that is hashed already (ALTER ROLE … PASSWORD).
HASHED = re.compile(r"md5[0-9a-f]{32}|SCRAM-SHA-256\$.*")
IMAGE = re.compile(r"[a-z0-9][\w./:@-]*")
NEWLINE = re.compile(r"\r\n|\n|\r")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(?P<key>[A-Za-z_]\w*)[^\S\r\n]*=(?P<value>[^\r\n]*)")
# The rest of a line whose value begins with a quote, where the same quote closes it.
CLOSED = re.compile(r"""\s*(?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*")""")

Rule = Callable[[str], "str | None"]
"""Takes a value that is not empty; gives what is wrong with it as the end of a sentence, or None."""


class EnvFileError(ValueError):
    """The file cannot be used; `problems` holds one sentence for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Entry:
    """One `KEY=value` of the file, with the number of its line (from 1).

    Of one that is not `readable` only the key is known, and what is wrong with it is told already.
    """

    key: str
    value: str
    line: int
    readable: bool = True


def _host(value: str) -> str | None:
    """A host name (RFC 1123, 2.1) or an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        # A name whose last label is a number would be read as an (invalid) address.
        labels = value.split(".")
        if len(value) <= 253 and all(map(HOST_LABEL.fullmatch, labels)) and not labels[-1].isdigit():
            return None
        return f"is {value!r}, which is no host name: use letters, digits, hyphens and dots"
    return None


def _port(value: str) -> str | None:
    if value.isascii() and value.isdigit() and len(value) <= 5 and 1 <= int(value) <= 65535:
        return None
    return f"is {value!r}, which is no port: use a whole number from 1 to 65535"


def _http_url(value: str) -> str | None:
    advice = "use http://HOST:PORT"
    try:
        url = urlsplit(value)
        host, port = url.hostname, url.port
    except ValueError:
        return f"is no URL: {advice}"
    # The value is not shown: a URL may carry a password.
    if url.username is not None:
        return f"holds a user name or a password, which would end up in logs: {advice}"
    if url.scheme != "http" or not host or _host(host) or port == 0 or re.search(r"\s", value):
        return f"is {value!r}, which is no http URL: {advice}"
    if url.query or url.fragment:
        return f"is {value!r}, with a query or a fragment: {advice}"
    return None


def _account(value: str) -> str | None:
    if not ACCOUNT.fullmatch(value):
        return (
            f"is {value!r}, which is no account name: use 1 to 63 lower-case letters, digits, '_' and '-', "
            "beginning with a letter or '_'"
        )
    return None


def _database_account(value: str) -> str | None:
    # `app` is the group role that the postgres role makes; `pg_` is PostgreSQL's own.
    if value == "app" or value.startswith("pg_"):
        return f"is {value!r}, a name that is taken inside PostgreSQL: choose another"
    return _account(value)


def _broker_account(value: str) -> str | None:
    if value == "guest":
        return "is 'guest', which RabbitMQ only lets in from its own machine: choose another"
    return _account(value)


def _database(value: str) -> str | None:
    if value in {"postgres", "template0", "template1"}:
        return f"is {value!r}, a database that PostgreSQL keeps for itself: choose another name"
    if not ACCOUNT.fullmatch(value):
        return (
            f"is {value!r}, which is no database name: use 1 to 63 lower-case letters, digits, '_' and '-', "
            "beginning with a letter or '_'"
        )
    return None


def _characters(value: str) -> str:
    return "1 character" if len(value) == 1 else f"{len(value)} characters"


def _password(value: str) -> str | None:
    """Never tells the value: what it returns is printed and logged."""
    # A password travels as the only line of a file and inside libpq's and the broker's C strings.
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        return "holds a line break, a NUL or another control character: use printable characters"
    if len(value) < PASSWORD_MINIMUM:
        return f"has {_characters(value)}: use at least {PASSWORD_MINIMUM}"
    if HASHED.fullmatch(value):
        return "looks like a hash, which PostgreSQL would take for one: choose another"
    # PostgreSQL compares passwords in this form. Without it, no run could tell whether one is right already.
    try:
        saslprep(value)
    except ValueError:
        return "holds a character that SASLprep (RFC 4013) does not allow, such as an emoji: choose another"
    return _too_long(value)


def _too_long(value: str) -> str | None:
    size = len(value.encode())
    return f"has {size} bytes: use at most {SECRET_MAXIMUM}" if size > SECRET_MAXIMUM else None


def _token(value: str) -> str | None:
    """Never tells the value, as for a password."""
    if not TOKEN.fullmatch(value):
        return "holds a character that a bearer token cannot have: use letters, digits and - . _ ~ + /"
    if len(value) < TOKEN_MINIMUM:
        return f"has {_characters(value)}: use at least {TOKEN_MINIMUM}"
    return _too_long(value)


def _image(value: str) -> str | None:
    if IMAGE.fullmatch(value):
        return None
    return f"is {value!r}, which is no image: use NAME:TAG or NAME@sha256:DIGEST"


def _printable(value: str) -> str | None:
    return "holds a NUL character: remove it" if "\0" in value else None


RULES: Mapping[str, Rule] = {
    "RABBITMQ_HOST": _host,
    "RABBITMQ_DEFAULT_USER": _broker_account,
    "RABBITMQ_DEFAULT_PASS": _password,
    "BILLING_DATABASE_HOST": _host,
    "INVENTORY_DATABASE_HOST": _host,
    "DB_PORT": _port,
    "POSTGRES_USER": _database_account,
    "POSTGRES_PASSWORD": _password,
    "POSTGRES_DB": _database,
    "INVENTORY_SERVICE_URL": _http_url,
    "INVENTORY_APP_DATABASE_USER": _database_account,
    "INVENTORY_APP_DATABASE_PASSWORD": _password,
    "INVENTORY_MIGRATIONS_DATABASE_USER": _database_account,
    "INVENTORY_MIGRATIONS_DATABASE_PASSWORD": _password,
    "BILLING_APP_DATABASE_USER": _database_account,
    "BILLING_APP_DATABASE_PASSWORD": _password,
    "BILLING_MIGRATIONS_DATABASE_USER": _database_account,
    "BILLING_MIGRATIONS_DATABASE_PASSWORD": _password,
    "API_GATEWAY_APP_RABBITMQ_USER": _broker_account,
    "API_GATEWAY_APP_RABBITMQ_PASSWORD": _password,
    "BILLING_APP_RABBITMQ_USER": _broker_account,
    "BILLING_APP_RABBITMQ_PASSWORD": _password,
    "HEALTH_RABBITMQ_USER": _broker_account,
    "HEALTH_RABBITMQ_PASSWORD": _password,
    "DEAD_LETTERS_RABBITMQ_USER": _broker_account,
    "DEAD_LETTERS_RABBITMQ_PASSWORD": _password,
}
OPTIONAL_RULES: Mapping[str, Rule] = {
    "API_TOKEN": _token,
    # Only where several machines are one platform (docs/swarm.md).
    "CLUSTER_PASSWORD": _password,
    # Read by Docker Compose alone (docs/compose.md).
    "BASE_IMAGE": _image,
    "GATEWAY_PORT": _port,
    "MANAGEMENT_PORT": _port,
}

ACCOUNTS_OF: Mapping[str, tuple[str, ...]] = {
    "the inventory database": (
        "POSTGRES_USER",
        "INVENTORY_APP_DATABASE_USER",
        "INVENTORY_MIGRATIONS_DATABASE_USER",
    ),
    "the billing database": (
        "POSTGRES_USER",
        "BILLING_APP_DATABASE_USER",
        "BILLING_MIGRATIONS_DATABASE_USER",
    ),
    "the broker": (
        "RABBITMQ_DEFAULT_USER",
        "API_GATEWAY_APP_RABBITMQ_USER",
        "BILLING_APP_RABBITMQ_USER",
        "HEALTH_RABBITMQ_USER",
        "DEAD_LETTERS_RABBITMQ_USER",
    ),
}


def load(path: str | Path) -> dict[str, str]:
    """Read a file that is right in every key.

    Returns: each key with its value, in the file's order.
    Raises: EnvFileError when anything is wrong with it, with all problems at once.
    """
    entries, found = _read(Path(path))
    found += _problems_of(entries, Path(path).name)
    if found:
        raise EnvFileError(found)
    return {entry.key: entry.value for entry in entries}


def problems(path: str | Path) -> list[str]:
    """Tell all that is wrong with a file, one sentence each; an empty list when it can be used."""
    try:
        load(path)
    except EnvFileError as error:
        return error.problems
    return []


def complete(path: str | Path, example: str | Path) -> list[str]:
    """Add the keys that `path` lacks, as the example has them, with random passwords.

    What is there stays as it is; a new version of the project may know more keys than the file.

    Returns: the keys that were added.
    Raises: EnvFileError when a file is not there or no UTF-8; OSError when it cannot be written.
    """
    path = Path(path)
    present = {entry.key for entry in _read(path)[0]}
    missing = {key: value for key, value in preview(example).items() if key not in present}
    if missing:
        text = path.read_text(encoding="utf-8")
        lines = [f"{key}={value}" for key, value in missing.items()]
        _replace(path, text + ("" if text.endswith("\n") or not text else "\n") + "\n".join(lines) + "\n")
    return list(missing)


def _replace(path: Path, content: str) -> None:
    """Write a file anew: it is there in full at every moment, with the owner and the mode that it had."""
    former = path.stat()
    with _written_beside(path, content) as temporary:
        os.chmod(temporary, former.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(temporary, former.st_uid, former.st_gid)
        os.replace(temporary, path)


@contextmanager
def _written_beside(path: Path, content: str) -> Iterator[Path]:
    """A temporary file that is on disk in full, in the same folder: its name can be moved without copying."""
    # mkstemp gives mode 0600.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".env.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def preview(example: str | Path) -> dict[str, str]:
    """Give what `make_env` would write, with passwords used nowhere: for check mode before a first run."""
    entries, found = _parse(_fill_passwords(Path(example).read_text(encoding="utf-8")), Path(example).name)
    if found:
        raise EnvFileError(found)
    return {entry.key: entry.value for entry in entries}


def _fill_passwords(text: str) -> str:
    empty_password = re.compile(r"^(\w+(?:_PASSWORD|_PASS)=)[ \t]*$", re.MULTILINE)
    alphabet = string.ascii_letters + string.digits
    return empty_password.sub(
        lambda match: match[1] + "".join(secrets.choice(alphabet) for _ in range(PASSWORD_LENGTH)), text
    )


def _read(path: Path) -> tuple[list[Entry], list[str]]:
    """Parse the file; give its entries (the first one of each key) and what is wrong with its syntax."""
    name = path.name
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        advice = "make it with `scripts/make_env`"
        raise EnvFileError([f"{name} is not there: {advice}."]) from None
    except UnicodeDecodeError as error:
        raise EnvFileError([f"{name} is no UTF-8 text (byte {error.start}): save it as UTF-8."]) from None
    except OSError as error:
        raise EnvFileError(
            [f"{name} cannot be read ({error.strerror}): make it a file that you may read."]
        ) from error

    return _parse(text, name)


def _parse(text: str, name: str) -> tuple[list[Entry], list[str]]:
    entries: dict[str, Entry] = {}
    found: list[str] = []
    text, unclosed = _take_out_unclosed(text)
    for entry in unclosed:
        entries[entry.key] = entry
        found.append(
            f"{name}, line {entry.line}: the value of {entry.key} begins with a quote that is not closed on "
            "this line; close it."
        )
    for binding in parse_stream(io.StringIO(text, newline="")):
        source = binding.original.string
        # A binding begins with the blank lines above it.
        blank = source[: len(source) - len(source.lstrip())]
        line = binding.original.line + len(NEWLINE.findall(blank))
        written = ASSIGNMENT.match(source)
        key = binding.key or (written["key"] if written else None)
        problem = _syntax_problem(binding, written["value"] if written else None)
        if problem:
            found.append(f"{name}, line {line}: {problem}")
        if key is None:
            continue
        if key in entries:
            found.append(
                f"{name}, line {line}: {key} is there already in line {entries[key].line}; remove one."
            )
        elif binding.value is not None or problem:
            entries[key] = Entry(key, binding.value or "", line, readable=problem is None)
    return list(entries.values()), found


def _syntax_problem(binding: Binding, written: str | None) -> str | None:
    """Tell what is wrong with how a line is written, or None.

    Args:
        binding: what python-dotenv makes of the line.
        written: what stands behind its equals sign.
    """
    quoted = _is_quoted(written or "")
    if binding.error and quoted and binding.key is None:
        return "there is text behind the closing quote; remove it, or put all of the value into the quotes."
    if binding.error or (binding.key is not None and binding.value is None):
        return "this is no KEY=value; write it so, or put # before it."
    # A pasted password may hold it, and would be cut there.
    if binding.key is not None and not quoted and re.search(r"\s#", written or ""):
        return (
            f"the value of {binding.key} holds ' #', and what follows would be a comment; put the value into "
            "single quotes, or the comment on a line of its own."
        )
    return None


def _is_quoted(written: str) -> bool:
    return written.lstrip().startswith(("'", '"'))


def _take_out_unclosed(text: str) -> tuple[str, list[Entry]]:
    """Empty the lines whose value begins with a quote that is not closed: it would swallow what follows.

    Only the value of a service of one's own may have several lines, such as a certificate.
    """
    lines = LINE.findall(text)
    unclosed: list[Entry] = []
    number = 0
    while number < len(lines):
        written = ASSIGNMENT.match(lines[number])
        if (
            written
            and written["value"].lstrip().startswith(("'", '"'))
            and not CLOSED.match(written["value"])
        ):
            end = _end_of_quote(lines, number) if written["key"].startswith(EXTRA_PREFIX) else None
            if end is None:
                unclosed.append(Entry(written["key"], "", number + 1, readable=False))
                lines[number] = lines[number][len(lines[number].rstrip("\r\n")) :]
            else:
                number = end
        number += 1
    return "".join(lines), unclosed


def _end_of_quote(lines: list[str], first: int) -> int | None:
    """Find the line that closes the quote of another one; None where a line with a key comes before it."""
    for last in range(first + 1, len(lines)):
        written = ASSIGNMENT.match(lines[last])
        if written and (written["key"] in RULES or written["key"].startswith(EXTRA_PREFIX)):
            return None
        value = "".join(lines[first : last + 1]).partition("=")[2]
        if CLOSED.match(value):
            return last
    return None


def _problems_of(entries: list[Entry], name: str) -> list[str]:
    found = [sentence for entry in entries if (sentence := _problem_of(entry, name))]
    keys = {entry.key for entry in entries}
    found += [
        f"{name}: {key} is missing; `.venv/bin/python scripts/env_file.py complete` adds it."
        for key in RULES
        if key not in keys
    ]
    return found + _shared_accounts(entries, name)


def _problem_of(entry: Entry, name: str) -> str | None:
    if not entry.readable:
        return None
    where = f"{name}, line {entry.line}: {entry.key}"
    rule = {**RULES, **OPTIONAL_RULES}.get(entry.key)
    if rule is None and re.fullmatch(EXTRA_PREFIX + r"[A-Z0-9_]+", entry.key):
        if not entry.key.endswith(PASSWORD_SUFFIXES):
            problem = _printable(entry.value)
            return f"{where} {problem}." if problem else None
        rule = _password
    if rule is None:
        near = difflib.get_close_matches(entry.key.upper(), [*RULES, *OPTIONAL_RULES], n=1)
        meant = f"did you mean {near[0]}? If not, " if near else ""
        return (
            f"{where} is no known key; {meant}remove it, or begin it with {EXTRA_PREFIX} "
            "if it belongs to a service of your own."
        )
    if not entry.value.strip() and entry.key in OPTIONAL_RULES:
        return f"{where} is empty; give it a value, or put # before it."
    if not entry.value.strip():
        return f"{where} is empty; give it a value (.env.example shows how)."
    problem = rule(entry.value)
    return f"{where} {problem}." if problem else None


def _shared_accounts(entries: list[Entry], name: str) -> list[str]:
    values = {entry.key: entry.value for entry in entries}
    found = []
    for server, keys in ACCOUNTS_OF.items():
        holder: dict[str, str] = {}
        for key in keys:
            value = values.get(key)
            if value and holder.setdefault(value, key) != key:
                found.append(
                    f"{name}: {holder[value]} and {key} are both {value!r} at {server}; "
                    "give each an account of its own."
                )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (2 when the file is wrong)."""
    parser = argparse.ArgumentParser(description="Check or complete the file with accounts and passwords.")
    parser.add_argument("action", choices=["complete", "check"])
    parser.add_argument("--file", type=Path, default=ROOT / ".env", help="default: .env at the root")
    parser.add_argument(
        "--example", type=Path, default=ROOT / ".env.example", help="default: .env.example at the root"
    )
    options = parser.parse_args(arguments)
    if options.action == "complete":
        try:
            added = complete(options.file, options.example)
        except (EnvFileError, OSError) as error:
            print(error, file=sys.stderr)
            return EXIT_BAD_FILE
        print(
            f"Added to {options.file.name}: {', '.join(added)}."
            if added
            else f"{options.file.name} lacks no key."
        )
        return 0
    found = problems(options.file)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return EXIT_BAD_FILE if found else 0


if __name__ == "__main__":
    sys.exit(main())
