"""Filter that finds names which the data of a database server was made with, and which are others now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOCUMENTATION = """
name: postgres_renamed
author: the Play with Containers authors
short_description: Finds names that the data was made with and that are others now
"""


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
        return {"postgres_renamed": postgres_renamed}
