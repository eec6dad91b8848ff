from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import env_file

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / ".env.example"

Change = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("made") / ".env"
    subprocess.run([ROOT / "scripts/make_env", path], check=True)
    return path.read_text()


@pytest.fixture
def good(made: str, tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(made)
    path.chmod(0o600)
    return path


@pytest.fixture
def with_value(good: Path) -> Change:
    """Gives the good file with another value (as written in the file) for one key."""

    def change(key: str, value: str) -> Path:
        line = f"{key}={value}"
        text, count = re.subn(rf"^{key}=.*$", lambda _: line, good.read_text(), flags=re.MULTILINE)
        good.write_text(text if count else f"{text}{line}\n")
        return good

    return change


def only_problem(path: Path) -> str:
    found = env_file.problems(path)
    assert len(found) == 1, found
    return found[0]


# --- preview -------------------------------------------------------------------------------


def test_a_preview_has_all_that_a_file_that_was_made_has_and_writes_nothing(good: Path) -> None:
    before = good.read_text()
    assert env_file.preview(EXAMPLE).keys() == env_file.load(good).keys()
    assert all(env_file.preview(EXAMPLE).values())
    assert good.read_text() == before


# --- the example ----------------------------------------------------------------------------


def test_the_example_holds_no_password() -> None:
    for line in EXAMPLE.read_text().splitlines():
        key, _, value = line.partition("=")
        if key.endswith(("_PASSWORD", "_PASS")):
            assert value == ""


def test_the_example_itself_is_refused_for_its_empty_passwords_only() -> None:
    found = env_file.problems(EXAMPLE)
    assert len(found) == 11
    assert all("is empty" in sentence for sentence in found)


# --- check: the file ------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    assert "scripts/make_env" in only_problem(tmp_path / ".env")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    assert "UTF-8" in only_problem(tmp_path / ".env")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in only_problem(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_file_misses_every_key(tmp_path: Path, content: str) -> None:
    (tmp_path / ".env").write_text(content)
    found = env_file.problems(tmp_path / ".env")
    assert len(found) == len(env_file.RULES)
    assert all("is missing" in sentence for sentence in found)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bad", ["DB PORT 5432", "DB_PORT", "= 5432"])
def test_a_line_that_is_no_pair_is_told_with_its_number(tmp_path: Path, bad: str, newline: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(newline.join(["# one", "", "", bad, ""]).encode())
    assert env_file.problems(path)[0].startswith(".env, line 4: this is no KEY=value")


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("later", ["", "'", '"'])
def test_a_quote_that_is_not_closed_is_told_with_its_line_and_nothing_else(
    with_value: Change, quote: str, later: str
) -> None:
    """Also where the quote of a later value would close it."""
    path = with_value("DB_PORT", f"{later}5432{later}")
    path.write_text(re.sub("^RABBITMQ_HOST=", f"RABBITMQ_HOST={quote}", path.read_text(), flags=re.MULTILINE))
    line = path.read_text().splitlines().index(f"RABBITMQ_HOST={quote}rabbitmq") + 1
    assert f"line {line}: the value of RABBITMQ_HOST begins with a quote that is not closed" in only_problem(
        path
    )


def test_text_behind_a_closing_quote_is_told(with_value: Change) -> None:
    assert "text behind the closing quote" in only_problem(with_value("POSTGRES_PASSWORD", "'0123'456789abc"))


@pytest.mark.parametrize("value", ["correct horse #battery", "0123456789abc # a comment", " #0123456789abc"])
def test_a_value_that_would_be_cut_at_a_comment_is_told(with_value: Change, value: str) -> None:
    sentence = only_problem(with_value("POSTGRES_PASSWORD", value))
    assert "the value of POSTGRES_PASSWORD holds ' #'" in sentence
    assert "single quotes" in sentence


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'correct horse #battery'", "correct horse #battery"),
        ("'0123456789abc' # a comment", "0123456789abc"),
        ("0123#456789abc", "0123#456789abc"),
        ("#0123456789abc", "#0123456789abc"),
    ],
)
def test_a_number_sign_that_begins_no_comment_belongs_to_the_value(
    with_value: Change, written: str, value: str
) -> None:
    assert env_file.load(with_value("POSTGRES_PASSWORD", written))["POSTGRES_PASSWORD"] == value


def test_a_value_of_a_service_of_ones_own_may_have_several_lines(good: Path) -> None:
    good.write_text(good.read_text() + "EXTRA_SHOP_CERTIFICATE='-----\nABC=\n-----'\nEXTRA_COLOUR=red\n")
    values = env_file.load(good)
    assert values["EXTRA_SHOP_CERTIFICATE"] == "-----\nABC=\n-----"
    assert values["EXTRA_COLOUR"] == "red"


def test_the_same_key_twice_is_told_with_both_lines(good: Path) -> None:
    good.write_text("DB_PORT=1\n" + good.read_text())
    sentence = only_problem(good)
    assert "DB_PORT is there already in line 1" in sentence


def test_all_problems_are_told_at_once(good: Path) -> None:
    text = good.read_text().replace("DB_PORT=5432", "DB_PORT=0").replace("=rabbitmq", "=rabbit mq")
    good.write_text(text + "WHAT=1\n")
    found = env_file.problems(good)
    assert [key for key in ("RABBITMQ_HOST", "DB_PORT", "WHAT") if key in " ".join(found)] == [
        "RABBITMQ_HOST",
        "DB_PORT",
        "WHAT",
    ]
    assert len(found) == 3


def test_load_raises_all_problems(with_value: Change) -> None:
    with pytest.raises(env_file.EnvFileError) as raised:
        env_file.load(with_value("DB_PORT", "x"))
    assert len(raised.value.problems) == 1
    assert "DB_PORT" in str(raised.value)


@pytest.mark.parametrize("key", sorted(env_file.RULES))
def test_each_missing_key_is_named(good: Path, key: str) -> None:
    good.write_text(re.sub(rf"^{key}=.*\n", "", good.read_text(), flags=re.MULTILINE))
    assert f"{key} is missing" in only_problem(good)


@pytest.mark.parametrize("key", sorted(env_file.RULES))
@pytest.mark.parametrize("empty", ["", "''", '"  "'])
def test_each_empty_value_is_named(with_value: Change, key: str, empty: str) -> None:
    assert f"{key} is empty" in only_problem(with_value(key, empty))


def test_an_unknown_key_is_named_with_the_nearest_known_one(good: Path) -> None:
    good.write_text(good.read_text() + "RABBITMQ_DEFAULT_PASSWORD=0123456789abc\n")
    sentence = only_problem(good)
    assert "RABBITMQ_DEFAULT_PASSWORD is no known key" in sentence
    assert "did you mean RABBITMQ_DEFAULT_PASS?" in sentence


def test_an_unknown_key_that_is_near_to_none_is_named_without_a_guess(good: Path) -> None:
    good.write_text(good.read_text() + "ZZZ=1\n")
    sentence = only_problem(good)
    assert "ZZZ is no known key" in sentence
    assert "did you mean" not in sentence


def test_keys_of_a_service_of_ones_own_are_accepted(good: Path) -> None:
    good.write_text(good.read_text() + "EXTRA_SHOP_PASSWORD=0123456789abc\nEXTRA_COLOUR=\n")
    assert env_file.load(good)["EXTRA_COLOUR"] == ""


def test_a_password_of_a_service_of_ones_own_follows_the_rules(good: Path) -> None:
    good.write_text(good.read_text() + "EXTRA_SHOP_PASSWORD=short\n")
    assert "at least 12" in only_problem(good)


# --- check: the values ----------------------------------------------------------------------


HOSTS = ("RABBITMQ_HOST", "BILLING_DATABASE_HOST", "INVENTORY_DATABASE_HOST")
ACCOUNTS = tuple(sorted(key for key in env_file.RULES if key.endswith("_USER")))
# What the sentence tells; the keys; their values, as they are written in the file.
REFUSED: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("no host name", HOSTS, ["a_b", "-a", "a-", "a..b", "a b", "1.2.3.400", "12", "http://a", "a" * 64]),
    ("from 1 to 65535", ("DB_PORT",), ["0", "65536", "-1", "5432.0", "0x10", "٣", "9" * 5000, "amqp"]),
    ("use http://HOST:PORT", ("INVENTORY_SERVICE_URL",), [
        "inventory-app:8080", "https://inventory-app", "ftp://a", "http://", "http://:80", "http://a:0",
        "http://a:99999", "http://a:b", "http://[::1", "http://a b", "http://a/?x=1", "http://a/#x",
    ]),
    ("no account name", ACCOUNTS, ["Admin", "1a", "a b", "a;b", "é", "-a", "a" * 64]),
    ("taken inside PostgreSQL", ("INVENTORY_APP_DATABASE_USER",), ["app", "pg_read_all_data"]),
    ("is 'guest', which RabbitMQ only lets in from", ("RABBITMQ_DEFAULT_USER",), ["guest"]),
    ("POSTGRES_DB", ("POSTGRES_DB",), ["template1", "postgres", "Orders", "my orders"]),
    ("at least 12", ("POSTGRES_PASSWORD",), ["elevenchars", "short"]),
    ("use at most 512", ("API_GATEWAY_APP_RABBITMQ_PASSWORD", "API_TOKEN"), ["x" * 513]),
    ("use at most 512", ("API_GATEWAY_APP_RABBITMQ_PASSWORD",), ["ß" * 257]),
    ("SASLprep", ("POSTGRES_PASSWORD",), ["\U0001f3ac" * 12, "private use \ue000"]),
    ("looks like a hash", ("POSTGRES_PASSWORD",), ["md5" + "0" * 32, "'SCRAM-SHA-256$4096:salt$key:key'"]),
    ("control character", ("POSTGRES_PASSWORD",), [
        '"two\\nlines of it"', '"nul\0in the middle"', '"tab\\tin the middle"',
    ]),
    ("has 15 characters: use at least 16", ("API_TOKEN",), ["0123456789abcde"]),
    ("a character that a bearer token cannot have", ("API_TOKEN",), [
        "'sixteen and more'", '"sixteen\\tand-more"', "sixteen-und-mähr", "a,b" * 9,
    ]),
]  # fmt: skip
CASES = [(key, value, words) for words, keys, values in REFUSED for key in keys for value in values]


@pytest.mark.parametrize(("key", "value", "words"), CASES)
def test_a_wrong_value_is_refused_and_a_secret_one_is_not_shown(
    with_value: Change, key: str, value: str, words: str
) -> None:
    sentence = only_problem(with_value(key, value))
    assert words in sentence
    if key.endswith(("_PASSWORD", "_TOKEN")):
        assert value.strip("'\"") not in sentence


def test_a_url_with_a_password_is_refused_without_showing_it(with_value: Change) -> None:
    sentence = only_problem(with_value("INVENTORY_SERVICE_URL", "http://u:hush@inventory-app"))
    assert "password" in sentence
    assert "hush" not in sentence


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("RABBITMQ_HOST", ["rabbitmq", "a", "b-1.example", "10.0.0.7", "2001:db8::1", "A" * 63]),
        ("DB_PORT", ["1", "65535"]),
        ("INVENTORY_SERVICE_URL", ["http://inventory-app:8080", "http://10.0.0.7", "http://a/movies"]),
        ("API_TOKEN", ["0123456789abcdef", "a-b._~+/" * 4, "c2VjcmV0IG9mIG1pbmU=="]),
    ],
)
def test_a_right_value_is_taken_as_it_is(with_value: Change, key: str, values: list[str]) -> None:
    for value in values:
        assert env_file.load(with_value(key, value))[key] == value


@pytest.mark.parametrize(
    "value", ["$HOME${X}%s{{ y }}", "a'\"b\\c/d#e;f", "pass phrase of mine", "ünïcode päss"]
)
def test_every_other_character_of_a_password_stands_for_itself(with_value: Change, value: str) -> None:
    quoted = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    assert env_file.load(with_value("POSTGRES_PASSWORD", quoted))["POSTGRES_PASSWORD"] == value


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("POSTGRES_USER", "INVENTORY_APP_DATABASE_USER"),
        ("INVENTORY_APP_DATABASE_USER", "INVENTORY_MIGRATIONS_DATABASE_USER"),
        ("BILLING_APP_DATABASE_USER", "BILLING_MIGRATIONS_DATABASE_USER"),
        ("RABBITMQ_DEFAULT_USER", "HEALTH_RABBITMQ_USER"),
        ("API_GATEWAY_APP_RABBITMQ_USER", "BILLING_APP_RABBITMQ_USER"),
    ],
)
def test_two_accounts_of_one_server_must_differ(with_value: Change, first: str, second: str) -> None:
    with_value(first, "same")
    sentence = only_problem(with_value(second, "same"))
    assert first in sentence
    assert second in sentence


def test_accounts_of_two_servers_may_be_called_alike(with_value: Change) -> None:
    assert env_file.problems(with_value("BILLING_APP_RABBITMQ_USER", "billing_app")) == []


def test_the_token_may_be_left_out(good: Path) -> None:
    assert "API_TOKEN" not in env_file.load(good)
    assert "#API_TOKEN=" in EXAMPLE.read_text()


@pytest.mark.parametrize("empty", ["", "''", '"  "'])
def test_an_empty_token_is_refused_rather_than_taken_for_none(with_value: Change, empty: str) -> None:
    sentence = only_problem(with_value("API_TOKEN", empty))
    assert "API_TOKEN is empty; give it a value, or put # before it." in sentence


# --- the command line -----------------------------------------------------------------------


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "env_file.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_exits_with_2_and_one_line_for_each_problem(with_value: Change) -> None:
    with_value("RABBITMQ_HOST", "a_b")
    done = command("check", "--file", with_value("DB_PORT", "x"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert done.stdout == ""


def test_check_says_nothing_of_a_good_file(good: Path) -> None:
    done = command("check", "--file", good)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_older_file_is_completed_and_keeps_what_it_has(good: Path, tmp_path: Path) -> None:
    file, example = good, EXAMPLE
    whole = file.read_text()
    older = "\n".join(line for line in whole.splitlines() if not line.startswith("DEAD_LETTERS_"))
    file.write_text(older)
    file.chmod(0o640)
    assert env_file.complete(file, example) == [
        "DEAD_LETTERS_RABBITMQ_USER",
        "DEAD_LETTERS_RABBITMQ_PASSWORD",
    ]
    assert file.read_text().startswith(older)
    assert file.stat().st_mode & 0o777 == 0o640
    assert env_file.problems(file) == []
    assert len(env_file.load(file)["DEAD_LETTERS_RABBITMQ_PASSWORD"]) >= 32
    assert env_file.complete(file, example) == []
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"], "nothing is left behind"
