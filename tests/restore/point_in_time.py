"""Going back to a moment, as an operator does it, and what the machine shows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator, Result

CONTAINERS: Final = {"movies": "inventory-database", "orders": "billing-database"}
SITE: Final = "site.yml"


class PointInTime:
    """Runs playbooks with archives on, and asks the databases.

    Attributes:
        archived: the containers that are archived.
    """

    def __init__(self, operator: Operator, node: Node, env: Mapping[str, str]) -> None:
        self._operator = operator
        self._node = node
        self._administrator = env["POSTGRES_USER"]
        self.archived: Sequence[str] = tuple(CONTAINERS.values())

    @property
    def _variables(self) -> dict[str, Any]:
        return {"postgres_archive": list(self.archived)}

    @property
    def _without_question(self) -> dict[str, Any]:
        return {**self._variables, "confirm": "yes"}

    def _site(self, service: str) -> dict[str, Any]:
        return {**self._variables, **({"operate_service": service} if service else {})}

    def site(self, service: str = "", **variables: Any) -> Result:
        """Bring the platform, or one service of it, to what is described."""
        return self._operator.run(SITE, **self._site(service), **variables)

    def site_fails(self, *mentions: str, service: str = "", **variables: Any) -> Result:
        """Run the same, which must fail with a sentence that mentions these texts."""
        return self._operator.refused(SITE, *mentions, **self._site(service), **variables)

    def restore(self, database: str, moment: str, **variables: Any) -> Result:
        """Bring a database back to a moment."""
        return self._operator.run(
            "ansible/restore.yml",
            **{**self._without_question, "operate_database": database, "operate_time": moment, **variables},
        )

    def refused(self, database: str, moment: str, *mentions: str, **variables: Any) -> None:
        """Try to, which must be refused before anything is touched."""
        before = self.serves(database)
        self._operator.refused(
            "ansible/restore.yml",
            *mentions,
            **{**self._without_question, "operate_database": database, "operate_time": moment, **variables},
        )
        assert self.serves(database) == before
        assert self.leftovers() == []

    def killed_when(self, condition: Any, database: str, moment: str) -> None:
        """Bring a database back to a moment, and kill the run when a condition holds."""
        self._operator.kill_when(
            condition,
            "ansible/restore.yml",
            **self._without_question,
            operate_database=database,
            operate_time=moment,
        )

    def undo(self, database: str) -> Result:
        """Put back what was served before the last restore."""
        return self._operator.run(
            "ansible/restore_undo.yml", **self._without_question, operate_database=database
        )

    def discard(self, database: str) -> Result:
        """Remove what was served before the last restore."""
        return self._operator.run(
            "ansible/restore_discard.yml", **self._without_question, operate_database=database
        )

    def upgrade(self, database: str, **variables: Any) -> Result:
        """Bring a database to the major version that is described."""
        return self._operator.run(
            "ansible/upgrade_postgres.yml",
            **{**self._without_question, "operate_database": database, **variables},
        )

    def version(self, database: str) -> int:
        """Give the major version of PostgreSQL that serves a database."""
        return int(self.ask(database, "SELECT to_json(current_setting('server_version_num'))")) // 10000

    def status(self) -> dict[str, Any]:
        """What `make status FORMAT=json` says about moments that can be restored, by container."""
        output = self._operator.run(
            "ansible/status.yml", answer_only=True, operate_format="json", **self._variables
        ).output
        document: dict[str, Any] = json.loads(output[output.index("{") : output.rindex("}") + 1])
        result: dict[str, Any] = document["point_in_time"]
        return result

    def now(self, database: str) -> str:
        """The moment by the database's own clock, after all that is committed and before what comes."""
        return str(self.ask(database, "SELECT to_json(clock_timestamp() AT TIME ZONE 'UTC')")) + "+00"

    def ask(self, database: str, query: str) -> Any:
        """Ask a database for one JSON value."""
        return self._node.psql(CONTAINERS[database], self._administrator, database, query)

    def serves(self, database: str) -> str:
        """Name the cluster on the volume that is served, and say since when."""
        name = CONTAINERS[database]
        directory = self.ask(database, "SELECT to_json(current_setting('data_directory'))")
        return f"{directory} since {self._node.inspect(name)[name]['State']['StartedAt']}"

    def on_the_volume(self, database: str) -> list[str]:
        """List what is on a database's volume."""
        volume = CONTAINERS[database]
        return self._node.run(f"ls $(docker volume inspect -f '{{{{.Mountpoint}}}}' {volume})").split()

    def leftovers(self) -> list[str]:
        """List scratch containers and volumes."""
        names = self._node.run("docker ps -a --format '{{.Names}}'; docker volume ls -q").split()
        return [name for name in names if name.endswith(("-restore", "-candidate", "-previous", "-next"))]

    def healthy(self, database: str) -> None:
        """Wait until a database is healthy again."""
        name = CONTAINERS[database]
        wait_until(
            lambda: self._node.inspect(name)[name]["State"]["Health"]["Status"] == "healthy",
            f"{name} is healthy",
            seconds=120,
        )

    def health_output(self, database: str) -> str:
        """What the health check of a database printed last."""
        name = CONTAINERS[database]
        log = self._node.inspect(name)[name]["State"]["Health"]["Log"]
        return str(log[-1]["Output"])
