"""What is to be done, decided from what a machine has and what is described."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from plugin_loader import load_plugin

plan = load_plugin("roles/container/filter_plugins/plan.py")
postgres = load_plugin("roles/postgres/filter_plugins/postgres_plan.py")
definitions = load_plugin("roles/rabbitmq/filter_plugins/rabbitmq_definitions.py")

RUNNING: dict[str, Any] = {
    "service": "app",
    "description": "d",
    "image": "id",
    "running": True,
    "paused": False,
    "health": "healthy",
    "memory": 256 * 2**20,
    "memory_swap": 256 * 2**20,
    "pids": 256,
    "restart": "unless-stopped",
    "networks": {"net": ["app", "0123456789ab"]},
    "answer": None,
}
WANTED: dict[str, Any] = {
    "name": "app",
    "service": "app",
    "image": "app:1",
    "description": "d",
    "memory": "256m",
    "pids": 256,
    "network": "net",
    "aliases": ["app"],
    "overlaps": True,
    "brought": False,
    "secrets": {},
    "secrets_directory": "/secrets",
    "user": 7,
    "volumes": ["data"],
}


def surveyed(**containers: dict[str, Any]) -> dict[str, Any]:
    """A machine with the image of `app`, and these containers."""
    return {"images": {"app:1": "id"}, "containers": containers, "foreign": {}, "files": {}}


@pytest.mark.parametrize(
    ("found", "action"),
    [
        ({}, ""),
        ({"health": "none"}, ""),
        ({"health": "starting"}, "wait"),
        ({"health": "unhealthy"}, "wait"),
        ({"image": "another"}, "replace"),
        ({"description": "another"}, "replace"),
        ({"pids": 100}, "replace"),
        ({"running": False}, "start"),
        ({"running": False, "image": "another"}, "replace"),
        ({"paused": True}, "start"),
        ({"memory": 0, "memory_swap": 0}, "adjust"),
        ({"memory_swap": -1}, "adjust"),
        ({"restart": "no"}, "adjust"),
        ({"networks": {}}, "adjust"),
        ({"networks": {"net": ["app"], "bridge": []}}, "adjust"),
        ({"networks": {"net": ["other"]}}, "adjust"),
    ],
)
def test_a_container_that_differs_is_brought_back_by_the_mildest_action(
    found: dict[str, Any], action: str
) -> None:
    difference = plan.container_difference(surveyed(app={**RUNNING, **found}), WANTED)
    assert difference["action"] == action
    assert bool(difference["why"]) == bool(action)


def test_a_container_that_does_not_exist_is_created_and_one_of_a_new_image_replaced() -> None:
    assert plan.container_difference(surveyed(), WANTED)["action"] == "create"
    assert plan.container_difference(surveyed(app=RUNNING), {**WANTED, "image": "app:2"}) == {
        "action": "replace",
        "why": "its image is new",
    }


@pytest.mark.parametrize(
    ("size", "number"), [("7", 7), ("7b", 7), ("7k", 7 * 2**10), ("7M", 7 * 2**20), ("7gb", 7 * 2**30)]
)
def test_a_size_is_read_as_docker_reads_it(size: str, number: int) -> None:
    machine = surveyed(app={**RUNNING, "memory": number, "memory_swap": number})
    assert plan.container_difference(machine, {**WANTED, "memory": size})["action"] == ""


def test_a_size_that_docker_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="such as 256m"):
        plan.container_difference(surveyed(app=RUNNING), {**WANTED, "memory": "much"})


def test_what_a_container_is_made_with_has_another_digest_when_anything_in_it_changes() -> None:
    parameters = {"env": {"A": "1", "B": "2"}, "init": True}
    assert plan.container_digest(parameters) == plan.container_digest(
        {"init": True, "env": {"B": "2", "A": "1"}}
    )
    assert plan.container_digest(parameters) != plan.container_digest({**parameters, "init": False})


def test_a_plan_lists_what_is_to_be_done_in_its_order_and_nothing_where_all_is_right() -> None:
    assert plan.container_plan(surveyed(app=RUNNING), WANTED) == []
    machine = surveyed(**{"app-old": RUNNING, "app-next": RUNNING})
    machine["foreign"] = {"visitor": ["data"]}
    wanted = {**WANTED, "image": "app:2", "secrets": {"password": "x"}}
    assert [(step["do"], step["why"].split()[0]) for step in plan.container_plan(machine, wanted)] == [
        ("build its image", "the"),
        ("write its secrets", "password:"),
        ("rename", "app-old"),
        ("check", "visitor"),
        ("recover", "an"),
        ("create", "it"),
    ]


def test_an_image_that_another_machine_has_built_is_loaded() -> None:
    wanted = {**WANTED, "image": "app:2", "brought": True}
    steps = plan.container_plan(surveyed(app=RUNNING), wanted)
    assert [step["do"] for step in steps] == ["load its image", "replace"]


def test_a_replica_has_no_image_or_secrets_of_its_own() -> None:
    wanted = {**WANTED, "name": "app-2", "image": "app:2", "secrets": {"password": "x"}}
    assert [step["do"] for step in plan.container_plan(surveyed(app=RUNNING), wanted)] == ["create"]


def test_what_a_container_says_of_its_inside_counts_where_it_stays_or_has_said_something() -> None:
    step = {"service": "app", "container": "app", "do": "replace", "why": "…"}
    silent, talking = surveyed(app=RUNNING), surveyed(app={**RUNNING, "answer": {}})
    assert plan.container_answers([], silent, "app")
    assert not plan.container_answers([step], silent, "app")
    assert plan.container_answers([step], talking, "app")
    assert not plan.container_answers([], surveyed(), "app")


def test_a_file_is_written_when_it_is_missing_or_its_content_is_another() -> None:
    files = {"/a": {"checksum": hashlib.sha256(b"1").hexdigest()}}
    assert plan.files_to_write({"/a": "1", "/b": "1"}, files) == ["/b"]
    assert plan.files_to_write({"/a": "2"}, files) == ["/a"]


def test_a_secret_is_written_when_its_content_its_owner_or_its_mode_is_another() -> None:
    def file(content: str, mode: str = "0400", uid: int = 7) -> dict[str, Any]:
        checksum = hashlib.sha256(content.encode()).hexdigest()
        return {"mode": mode, "uid": uid, "gid": 7, "checksum": checksum}

    directory = {"mode": "0500", "uid": 7, "gid": 7, "checksum": None}
    files = {
        "/d": directory,
        "/d/same": file("1"),
        "/d/content": file("2"),
        "/d/mode": file("1", mode="0444"),
        "/d/owner": file("1", uid=0),
    }
    secrets = dict.fromkeys(["same", "content", "mode", "owner", "missing"], "1")
    assert plan.secrets_to_write(secrets, files, "/d", 7) == ["content", "mode", "owner", "missing"]
    assert plan.secrets_to_write(secrets, {**files, "/d": {**directory, "mode": "0755"}}, "/d", 7) == list(
        secrets
    )
    assert plan.secrets_to_write(secrets, {}, "/d", 7) == list(secrets)


def test_surplus_replicas_are_those_of_the_service_the_highest_number_first() -> None:
    services = {"app": "app", "app-2": "app", "app-10": "app", "app-candidate": "app", "app-3": "app-3"}
    containers = {name: {"service": service, "image": "x"} for name, service in services.items()}
    assert plan.surplus_replicas(containers, "app", ["app"]) == ["app-10", "app-2"]
    assert plan.surplus_replicas(containers, "app", ["app", "app-2", "app-10"]) == []


def test_strays_are_containers_of_a_service_with_another_name_than_the_described_and_a_helpers() -> None:
    names = [
        *("app", "app-2", "app-old", "old"),
        *("app-previous", "app-next", "app-candidate", "app-migration", "app-2-next", "app-restore"),
        "dead-letters",
    ]
    containers = {name: {"service": "app"} for name in names} | {"other": {"service": "app-old"}}
    assert plan.stray_containers(containers, "app", with_replicas=True) == ["app-old", "old"]
    # A second one on a volume is no replica.
    assert plan.stray_containers(containers, "app", with_replicas=False) == [
        "app-2",
        "app-2-next",
        "app-old",
        "old",
    ]
    assert plan.orphan_containers(containers, ["app"]) == ["other"]


def test_who_uses_a_volume_is_known() -> None:
    foreign = {"a": ["data", "other"], "b": ["other"], "c": []}
    assert plan.users_of_volumes(foreign, ["data"]) == ["a"]
    assert plan.users_of_volumes(foreign, []) == []


# --- A database server ------------------------------------------------------------------------

# What PostgreSQL 15 made of these passwords.
VERIFIERS = {
    "secret": (
        "SCRAM-SHA-256$4096:0oP1pspajURiEwqDHFKYXA==$03g/7lV+3D1pGsllp9UEQiV4ltQ+lLD2GwYYewGjSTI="
        ":GRDT1yJ8uYWzzWXfKwpIbVmjLjxN4RRGpRedpg1b7V8="
    ),
    "ß™日本 e\u0301\u00a0\u00ad longer": (
        "SCRAM-SHA-256$4096:j99aswt+RtXs1dKsBeX2Yg==$G0Fo5dyKHX0KtTCutYu7DO1UHpEy8FBXOiaRzg+6sVI="
        ":xEHjTt8KD1rx+aKqkSTwKeDkOAya+1mB8aBZs74urvU="
    ),
}
ENTRY: dict[str, Any] = {
    "database": "orders",
    "administrator": {"user": "admin", "password": "secret"},
    "owner": {"user": "owner", "password": "secret"},
    "app": {"user": "shop", "password": "secret"},
}


def server(**parts: Any) -> dict[str, Any]:
    """What a server says that is as described, but for these parts."""
    account = {"may_log_in": True, "privileged": False, "limited": False, "password": VERIFIERS["secret"]}
    right: dict[str, Any] = {
        "databases": {"orders": "owner"},
        "apps": ["shop"],
        "accounts": {
            "admin": {**account, "privileged": True},
            "owner": account,
            "shop": account,
            "app": {**account, "may_log_in": False, "password": None},
        },
        "public": None,
        "app_connects": ["orders"],
        "volume": ["main"],
    }
    for name, change in parts.pop("accounts", {}).items():
        right["accounts"][name] = {**right["accounts"][name], **change}
    return {**right, **parts}


@pytest.mark.parametrize("password", VERIFIERS)
def test_a_verifier_accepts_the_password_that_it_was_made_from_and_no_other(password: str) -> None:
    assert postgres.scram_accepts(VERIFIERS[password], password)
    assert not postgres.scram_accepts(VERIFIERS[password], password + "x")
    assert not postgres.scram_accepts("", password)
    assert not postgres.scram_accepts("md5d41d8cd98f00b204e9800998ecf8427e", password)


@pytest.mark.parametrize(
    ("parts", "mention"),
    [
        ({"databases": None}, "the database orders"),
        ({"databases": {"orders": "shop"}}, "the database orders"),
        ({"apps": None}, "membership"),
        ({"public": ["orders"]}, "public"),
        ({"app_connects": None}, "access to orders"),
        ({"accounts": {"app": {"may_log_in": True}}}, "role app"),
        ({"accounts": {"admin": {"password": None}}}, "administrator"),
        ({"accounts": {"shop": {"password": None}}}, "account shop"),
        ({"accounts": {"shop": {"privileged": True}}}, "account shop"),
        ({"accounts": {"owner": {"limited": True}}}, "account owner"),
        ({"accounts": {"owner": {"may_log_in": False}}}, "account owner"),
        ({"volume": ["main", "upgrading"]}, "interrupted"),
    ],
)
def test_what_a_server_lacks_is_named_without_a_password(parts: dict[str, Any], mention: str) -> None:
    [difference] = postgres.postgres_differences(server(**parts), ENTRY)
    assert mention in difference
    assert "secret" not in difference


def test_a_server_that_is_as_described_lacks_nothing_and_an_empty_one_everything() -> None:
    assert postgres.postgres_differences(server(), ENTRY) == []
    assert postgres.postgres_differences(None, ENTRY) == ["the server does not answer"]
    empty = server(databases=None, apps=None, app_connects=None) | {"accounts": {}}
    assert len(postgres.postgres_differences(empty, ENTRY)) == 7


def test_an_exchange_that_the_broker_exports_without_internal_is_not_different() -> None:
    exchange = {"vhost": "/", "name": "x", "type": "direct", "internal": False}
    exported = {key: value for key, value in exchange.items() if key != "internal"}
    assert definitions.rabbitmq_differences({"exchanges": [exported]}, {"exchanges": [exchange]}) == []
    [difference] = definitions.rabbitmq_differences(
        {"exchanges": [{**exported, "type": "fanout"}]}, {"exchanges": [exchange]}
    )
    assert "different" in difference


def test_of_the_builds_of_one_dockerfile_the_first_goes_ahead() -> None:
    builds = [{"name": name, "of": of} for name, of in (("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3))]
    assert [build["name"] for build in plan.first_of_each(builds, "of")] == ["a", "c", "e", "b", "d"]


def test_only_services_that_a_step_is_planned_for_go_through_its_phase() -> None:
    services = [{"name": "a"}, {"name": "b"}]
    steps = [{"service": "b", "do": "build its image"}, {"service": "a", "do": "wait"}]
    assert plan.planned_to(services, "build its image", steps) == [{"name": "b"}]


@pytest.mark.parametrize(
    ("roles", "is_well"),
    [
        ({"a": "Leader", "b": "Sync Standby", "c": "Replica"}, True),
        ({"a": "Leader", "b": "Replica", "c": "Replica"}, False),
        ({"b": "Sync Standby", "c": "Replica", "d": "Replica"}, False),
        ({"a": "Leader", "b": "Sync Standby"}, False),
    ],
)
def test_a_cluster_is_well_where_any_server_may_go(roles: dict[str, str], is_well: bool) -> None:
    members = [{"Member": name, "Role": role, "State": "running"} for name, role in roles.items()]
    assert postgres.postgres_cluster_is_well(members, 3) is is_well
    starting = [{**member, "State": "starting"} for member in members]
    assert not postgres.postgres_cluster_is_well(starting, 3)
