"""Filters that compare a database server with what is described."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.community.postgresql.plugins.module_utils.saslprep import saslprep


def postgres_differences(found: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> list[str]:
    """Name what is missing or different in a server; no password.

    Args:
        found: what the image's `describe-cluster` prints; nothing where the server did not answer.
        entry: the server's entry in the list of services.
    """
    if not found:
        return ["the server does not answer"]
    database, accounts = entry["database"], found["accounts"]
    if "upgrading" in found["volume"]:
        return ["an upgrade was interrupted"]
    checks = {
        "the role app": accounts.get("app", {}).get("may_log_in") is False,
        "the app's membership in app": entry["app"]["user"] in (found["apps"] or []),
        f"the database {database}": (found["databases"] or {}).get(database) == entry["owner"]["user"],
        f"public privileges on {database}": database not in (found["public"] or []),
        f"the app's access to {database}": database in (found["app_connects"] or []),
        "the administrator's password": _lets_in(accounts, entry["administrator"]),
    }
    for role in ("owner", "app"):
        account = accounts.get(entry[role]["user"], {})
        checks[f"the account {entry[role]['user']}"] = (
            account.get("may_log_in") is True
            and not account["privileged"]
            and not account["limited"]
            and _lets_in(accounts, entry[role])
        )
    return [name for name, is_right in checks.items() if not is_right]


def postgres_cluster_is_well(members: Sequence[Mapping[str, Any]], number: int) -> bool:
    """Tell whether all servers of a cluster run, and another one has all that the primary has committed.

    Args:
        members: what `patronictl list` prints as JSON.
        number: how many there have to be at least.
    """
    running = [member["Role"] for member in members if member["State"] in {"running", "streaming"}]
    return len(running) >= number and "Leader" in running and "Sync Standby" in running


def _lets_in(accounts: Mapping[str, Any], account: Mapping[str, str]) -> bool:
    """Tell whether the password that is described is the one that the server asks for."""
    verifier = accounts.get(account["user"], {}).get("password") or ""
    return scram_accepts(verifier, account["password"])


def scram_accepts(verifier: str, password: str) -> bool:
    """Tell whether a SCRAM-SHA-256 verifier was made from a password.

    Source: RFC 5803, section 3, and RFC 5802, section 3.
    """
    mechanism, _, rest = verifier.partition("$")
    iterations, _, keys = rest.partition(":")
    salt, _, keys = keys.partition("$")
    stored, _, _ = keys.partition(":")
    if mechanism != "SCRAM-SHA-256":
        return False
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), b64decode(stored))


def postgres_renamed(found: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Give a sentence for each name that would leave the data, or an account, behind under its old one.

    Args:
        found: `databases`, each with its owner, and `apps`, the accounts of apps; None where there is none.
        entry: the server's entry in the list of services.
    """
    server, database = entry["name"], entry["database"]
    databases = found["databases"] or {}
    apps = found["apps"] or []
    owner, app = entry["owner"]["user"], entry["app"]["user"]
    sentences = []
    if databases and database not in databases:
        sentences.append(
            f"{server} has its data in the database {', '.join(sorted(databases))}, and {database} would be "
            "an empty one: put the former name back (POSTGRES_DB in .env for the billing database)."
        )
    elif databases and databases[database] != owner:
        sentences.append(
            f"{database} in {server} belongs to the account {databases[database]}, and so do its tables, not "
            f"to {owner}: put the former name back in .env (…_MIGRATIONS_DATABASE_USER)."
        )
    if apps and app not in apps:
        sentences.append(
            f"The app's account in {server} is {', '.join(sorted(apps))}, and would go on beside {app}: put "
            "the former name back in .env (…_APP_DATABASE_USER)."
        )
    return sentences


class FilterModule:
    """Entry point for Ansible."""

    def filters(self) -> dict[str, object]:
        """Returns the filters by name."""
        return {
            "postgres_differences": postgres_differences,
            "postgres_cluster_is_well": postgres_cluster_is_well,
            "postgres_renamed": postgres_renamed,
        }
