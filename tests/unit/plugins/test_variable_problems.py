"""What the check of variables finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from plugin_loader import load_plugin

from argument_specs import ROOT

plugin = load_plugin("ansible/plugins/lookup/variable_problems.py")
KNOWN = plugin.read_known()


def options(operation: str, **given: Any) -> list[str]:
    return list(plugin.option_problems(operation, given, KNOWN))


def described(**variables: Any) -> list[str]:
    return list(plugin.description_problems([plugin.Source("a file", variables)], KNOWN))


def services(**variables: Any) -> list[str]:
    known = [
        {"kind": "flask_app", "name": "inventory-app"},
        {"kind": "flask_app", "name": "api-gateway-app", "published_ports": "{{ … }}"},
        {"kind": "postgres", "name": "inventory-database"},
    ]
    return list(plugin.service_problems(known, variables))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "ansible" / "group_vars").rglob("*.yml")), ids=lambda p: p.name
)
def test_what_the_platform_comes_with_is_right(path: Any) -> None:
    assert described(**yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("stop", {"operate_service": "inventory-app", "break_lock": "yes"}),
        ("stop", {"platform_env_file": "/x", "backup_schedule": "", "ansible_user": "debian"}),
        ("backup", {"operate_drain": 1}),
        ("backup", {"operate_drain": True}),
        ("status", {"operate_format": "json"}),
    ],
)
def test_right_options_are_taken(operation: str, given: Mapping[str, Any]) -> None:
    assert options(operation, **given) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("operate_servcie", "operate_service"),
        ("operte_service", "operate_service"),
        ("databse", "operate_database"),
        ("brek_lock", "break_lock"),
        ("platform_replcas", "platform_replicas"),
        ("backup_shedule", "backup_schedule"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_right_one(name: str, meant: str) -> None:
    [problem] = options("stop", **{name: "x"})
    assert f"{name} (-e) is no variable that something reads. Did you mean {meant}?" in problem


def test_an_option_that_is_near_to_none_is_refused_too() -> None:
    assert "zzz (-e) is no variable" in options("stop", zzz=1)[0]


def test_an_option_of_another_operation_is_refused_with_the_right_ones() -> None:
    [problem] = options("stop", operate_database="movies")
    assert problem == "operate_database is no option of stop. Its options: operate_service, break_lock."


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_option_that_is_given_and_empty_is_refused(empty: str | None) -> None:
    [problem] = options("stop", operate_service=empty)
    assert "SERVICE (operate_service) is given, and empty" in problem


@pytest.mark.parametrize(
    ("operation", "given", "mention"),
    [
        ("status", {"operate_format": "xml"}, "FORMAT (operate_format) is xml: use text or json."),
        ("dead_letters", {"operate_format": "xml"}, "use text or json."),
        ("dead_letters", {"operate_action": "lst"}, "use list or show or retry or drop."),
        ("remove", {"operate_volumes": "maybe"}, "VOLUMES (operate_volumes) is maybe: use yes or no."),
        ("remove", {"confirm": "yse"}, "CONFIRM (confirm) is yse: use yes or no."),
    ],
)
def test_a_value_that_is_not_possible_is_refused(operation: str, given: Any, mention: str) -> None:
    [problem] = options(operation, **given)
    assert mention in problem


@pytest.mark.parametrize(
    "name", ["backup_shedule", "platform_replcas", "plaform_replicas", "container_memry"]
)
def test_a_misspelt_variable_of_a_file_is_told_with_the_file(name: str) -> None:
    [problem] = described(**{name: 1})
    assert problem.startswith(f"a file: {name} is no variable that something reads. Did you mean")


def test_variables_of_the_users_own_are_left_alone() -> None:
    assert described(ansible_user="debian", my_mirror="x", proxy="x", company_network="10.0.0.0/8") == []


@pytest.mark.parametrize(
    ("variables", "mention"),
    [
        (
            {"platform_services": [{"kind": "flask_app", "name": "a", "user": 1, "memry": "1m"}]},
            "platform_services, entry 1 (a) has no key memry. Did you mean memory?",
        ),
        (
            {"platform_services": [{"kind": "flask_app", "name": "a", "user": 1, "broker": {"hst": "x"}}]},
            "platform_services, entry 1 (a), broker has no key hst. Did you mean host?",
        ),
        (
            {"platform_services": [{"kind": "flask_ap", "name": "a"}]},
            "kind is flask_ap. Did you mean flask_app?",
        ),
        ({"platform_services": [{"name": "a"}]}, "kind is missing."),
        ({"platform_services": []}, "platform_services is empty"),
        ({"platform_services": {}}, "platform_services must be a list."),
        (
            {"platform_broker_definitions": {"exchnges": [], "queues": [], "bindings": [], "accounts": []}},
            "platform_broker_definitions has no key exchnges. Did you mean exchanges?",
        ),
        ({"platform_proxy": {"htp_proxy": "x"}}, "Did you mean http_proxy?"),
        ({"platform_proxy": "http://proxy"}, "platform_proxy must be a mapping"),
        ({"postgres_archive": "inventory-database"}, "postgres_archive must be a list."),
    ],
)
def test_a_misspelt_key_is_told_with_the_right_one(variables: dict[str, Any], mention: str) -> None:
    assert any(mention in problem for problem in described(**variables))


def test_what_belongs_to_others_may_have_any_key() -> None:
    assert described(docker_engine_daemon_options={"anything": {"at": "all"}}) == []
    queue = {"name": "q", "arguments": {"x-any": 1}}
    definitions = {"exchanges": [], "queues": [queue], "bindings": [], "accounts": []}
    assert described(platform_broker_definitions=definitions) == []


def test_a_template_is_not_looked_into() -> None:
    assert described(platform_services="{{ mine }}", platform_proxy="{{ mine }}") == []


def test_replicas_and_archives_are_of_services_that_can_have_them() -> None:
    assert services(platform_replicas={"inventory-app": 3}, postgres_archive=["inventory-database"]) == []
    [problem] = services(platform_replicas={"inventry-app": 3})
    assert "inventry-app cannot have replicas. Did you mean inventory-app?" in problem
    [problem] = services(platform_replicas={"api-gateway-app": 2})
    assert "Those that can: inventory-app." in problem
    [problem] = services(postgres_archive=["inventory-databse"])
    assert "inventory-databse cannot be archived. Did you mean inventory-database?" in problem


def test_each_default_of_an_operation_is_what_is_described() -> None:
    defaults = yaml.safe_load((ROOT / "ansible/group_vars/all/operations.yml").read_text())
    for operation, taken in KNOWN.operations.items():
        for name, option in taken.items():
            if name in defaults and not option.required:
                assert option.default == defaults[name], f"{operation}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "ansible").glob("*.yml")), ids=lambda path: path.stem)
def test_each_playbook_checks_its_options_before_all_else(path: Any) -> None:
    [play] = yaml.safe_load(path.read_text())
    if "tasks" in play:
        [first, *_] = [task for task in play["tasks"] if "ansible.builtin.import_tasks" in task]
        assert first["ansible.builtin.import_tasks"] in ("tasks/options.yml", "tasks/operation.yml")
        assert {**play.get("vars", {}), **first.get("vars", {})}["operation"] == path.stem
    else:
        assert play["vars"]["operation"] == path.stem
    assert path.stem in KNOWN.operations
    [first, *_] = yaml.safe_load((ROOT / "ansible/tasks/operation.yml").read_text())
    assert first["ansible.builtin.import_tasks"] == "options.yml"
