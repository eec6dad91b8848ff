"""Wrong commands: each is refused with a sentence, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.settings import Secrets
from tests.node.node import Node
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("playbook", ["rollback", "stop", "start", "logs", "history", "scale"])
def test_an_unknown_service_is_refused_with_the_known_ones(operator: Operator, playbook: str) -> None:
    operator.refused(
        f"ansible/{playbook}.yml", "nonsense is no service", "inventory-database", operate_service="nonsense"
    )


def test_a_service_must_be_named_where_one_is_needed(operator: Operator) -> None:
    operator.refused("ansible/rollback.yml", "Say which service")


@pytest.mark.parametrize("replicas", ["0", "1000", "-1", "three", "2.5"])
def test_a_number_of_replicas_that_is_not_possible_is_refused(operator: Operator, replicas: str) -> None:
    operator.refused(
        "ansible/scale.yml",
        "a whole number from 1 to 16",
        operate_service="inventory-app",
        operate_replicas=replicas,
    )


@pytest.mark.parametrize("service", ["api-gateway-app", "rabbitmq", "billing-database"])
def test_a_service_with_data_or_a_port_is_not_scaled(operator: Operator, service: str) -> None:
    operator.refused(
        "ansible/scale.yml", "cannot have replicas", operate_service=service, operate_replicas="2"
    )


@pytest.mark.parametrize(
    ("replicas", "mention"),
    [
        ({"inventory-app": 0}, "from 1 to 16"),
        ({"inventory-app": 1000}, "from 1 to 16"),
        ({"api-gateway-app": 2}, "cannot have replicas"),
        ({"rabbitmq": 2}, "cannot have replicas"),
    ],
)
def test_the_description_is_refused_where_its_replicas_are_not_possible(
    operator: Operator, replicas: dict[str, int], mention: str
) -> None:
    result = operator.attempt("site.yml", "--tags", "preflight", platform_replicas=replicas)
    assert result.code != 0
    assert mention in result.text


def test_an_image_that_does_not_exist_is_not_gone_back_to(operator: Operator) -> None:
    operator.refused(
        "ansible/rollback.yml",
        "no image with the tag 0123456789ab",
        operate_service="billing-app",
        operate_image="0123456789ab",
    )


def test_a_run_without_its_build_says_which_image_is_missing(
    operator: Operator, sources: Path, node: Node
) -> None:
    (sources / "inventory-app/inventory_app/settings.py").open("a").write("# Another image.\n")
    before = node.run("docker ps --no-trunc --quiet")
    result = operator.attempt("site.yml", "--skip-tags", "build", container_build_root=str(sources))
    assert result.code != 0
    assert "has no image inventory-app:" in result.text
    assert "leaves `build` out" in result.text
    assert node.run("docker ps --no-trunc --quiet") == before


# Here, before the other tests have made images.
def test_a_service_with_one_image_has_nothing_to_go_back_to(operator: Operator) -> None:
    operator.refused("ansible/rollback.yml", "no previous image", operate_service="inventory-database")


@pytest.mark.quick
def test_nothing_is_removed_without_a_yes(operator: Operator, node: Node) -> None:
    before = node.run("docker ps -aq")
    operator.refused("ansible/remove.yml", "Nothing was done", "ALL ITS DATA", operate_volumes="yes")
    assert node.run("docker ps -aq") == before


def test_two_operators_do_not_work_at_once(operator: Operator, node: Node) -> None:
    holder = "ada@laptop since 2026-01-02T03:04:05+00:00 (Stop-the-containers, process 17)"
    node.run(f"ln -sT '{holder}' /run/play-with-containers.lock")
    try:
        operator.refused(
            "ansible/stop.yml",
            "being worked on by ada@laptop since 2026-01-02T03:04:05+00:00",
            "break_lock=yes",
            operate_service="inventory-app",
        )
        assert node.inspect("inventory-app")["inventory-app"]["State"]["Running"]
        # Questions disturb nobody.
        operator.run("ansible/history.yml", operate_service="inventory-app")
        assert node.run("readlink /run/play-with-containers.lock").startswith("ada@laptop")
        operator.run("ansible/start.yml", operate_service="inventory-app", break_lock="yes")
    finally:
        node.run("rm -f /run/play-with-containers.lock")


@pytest.mark.parametrize(
    ("key", "mention"),
    [
        ("POSTGRES_USER", "was made as {} and cannot be renamed"),
        ("POSTGRES_DB", "billing-database has its data in the database {}"),
        ("INVENTORY_MIGRATIONS_DATABASE_USER", "belongs to the account {}"),
        ("BILLING_APP_DATABASE_USER", "The app's account in billing-database is {}"),
    ],
)
def test_a_name_that_the_data_was_made_with_is_not_changed_and_the_steps_are_told(
    operator: Operator, env: Secrets, key: str, mention: str
) -> None:
    result = operator.attempt("site.yml", "--tags", "preflight", platform_env={**env, key: "another_name"})
    assert result.code != 0
    assert mention.format(env[key]) in result.text
    assert "put the former name back" in result.text or "put that name back" in result.text
    assert "make remove VOLUMES=yes" in result.text
