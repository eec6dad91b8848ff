from __future__ import annotations

import json
from base64 import b64decode

import pytest
from tests.node.node import Node
from tests.node.platform import APPS, NAMES, Service


@pytest.fixture(scope="module")
def secrets(env: dict[str, str]) -> dict[str, str]:
    """The values of `.env` that nobody may see, by key."""
    secret = ("_PASSWORD", "_PASS", "API_TOKEN")
    found = {key: value for key, value in env.items() if key.endswith(secret)}
    assert len(set(found.values())) >= 8
    return found


def leaked(secrets: dict[str, str], text: str) -> list[str]:
    """Name the secrets that a text tells, also when it tells them as JSON."""
    return [key for key, value in secrets.items() if value in text or json.dumps(value)[1:-1] in text]


def test_no_secret_is_in_what_docker_tells_about_containers_images_and_networks(
    node: Node, secrets: dict[str, str]
) -> None:
    assert leaked(secrets, json.dumps(node.everything)) == []


def test_no_secret_is_in_the_history_of_an_image(node: Node, secrets: dict[str, str]) -> None:
    history = node.packed("docker images -q | sort -u | xargs -n1 -P4 docker history --no-trunc")
    assert "ENTRYPOINT" in history
    assert leaked(secrets, history) == []


def test_no_secret_is_in_the_log_of_a_container(node: Node, secrets: dict[str, str]) -> None:
    logs = node.packed(f"for name in {' '.join(NAMES)}; do docker logs $name 2>&1; done")
    assert "serving on port" in logs or '"level"' in logs
    assert leaked(secrets, logs) == []


def test_no_secret_is_in_the_access_log(node: Node, secrets: dict[str, str]) -> None:
    log = node.packed("docker exec api-gateway-app sh -c 'cat /var/log/api-gateway/*'")
    assert "GET" in log
    assert leaked(secrets, log) == []


def test_no_secret_is_in_the_environment_or_the_arguments_of_a_process(
    node: Node, secrets: dict[str, str]
) -> None:
    processes = node.packed("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null || true")
    assert "SERVICE_NAME=billing-app" in processes
    assert leaked(secrets, processes) == []


def test_no_secret_is_in_a_file_of_an_image(node: Node, secrets: dict[str, str]) -> None:
    files = "find /opt /etc /usr/local /root /home /tmp -xdev -type f -size -200k"
    script = files + " -exec cat {} + 2>/dev/null || true"
    encoded = node.packed("; ".join(f"docker exec --user 0 {name} sh -c '{script}'" for name in NAMES))
    assert "listeners.tcp.default" in encoded
    assert leaked(secrets, encoded) == []


def test_the_nodes_journal_tells_no_secret(node: Node, secrets: dict[str, str]) -> None:
    journal = node.packed(
        "if [ -d /run/systemd/system ]; then journalctl --no-pager -o cat | tail -n 50000; "
        "else echo no systemd; fi"
    )
    assert "systemd" in journal
    assert leaked(secrets, journal) == []


def test_its_secrets_are_files_that_only_its_user_can_read(node: Node, service: Service) -> None:
    container = node.containers[service.name]
    user = container["Config"]["User"].partition(":")[0]
    sources = [mount["Source"] for mount in container["Mounts"] if mount["Destination"] == "/run/secrets"]
    assert len(sources) == 1, "secrets are mounted as a directory"
    entries = node.run(f"find {sources[0]} -printf '%y %U %m %P\\n'").splitlines()
    assert [entry for entry in entries if entry.startswith("f ")], "there is a secret"
    for entry in entries:
        kind, owner, mode, *name = entry.split(" ")
        assert kind in {"d", "f"}, name
        assert owner == user, name
        assert int(mode, 8) & 0o077 == 0, f"{name}: {mode}"


def test_nobody_but_root_can_come_near_anothers_secrets(node: Node) -> None:
    sources = {
        name: mount["Source"]
        for name, container in node.containers.items()
        for mount in container["Mounts"]
        if mount["Destination"] == "/run/secrets"
    }
    users = {
        name: container["Config"]["User"].partition(":")[0] for name, container in node.containers.items()
    }
    commands = "; ".join(
        f'd={source}; while [ "$d" != / ]; do stat -c "{name} %u %a %n" "$d"; d=$(dirname "$d"); done'
        for name, source in sources.items()
    )
    for line in node.run(commands).splitlines():
        name, owner, mode, directory = line.split(" ")
        assert owner in {"0", users[name]}, (
            f"{directory} belongs to {owner}, who can put another there for {name}"
        )
        assert int(mode, 8) & 0o022 == 0, f"{directory} has mode {mode}"


def test_the_secrets_of_an_app_hold_no_other_accounts_password(node: Node, secrets: dict[str, str]) -> None:
    allowed = {
        "api-gateway-app": {"API_GATEWAY_APP_RABBITMQ_PASSWORD"},
        "inventory-app": {"INVENTORY_APP_DATABASE_PASSWORD"},
        "billing-app": {"BILLING_APP_DATABASE_PASSWORD", "BILLING_APP_RABBITMQ_PASSWORD"},
    }
    if "API_TOKEN" in secrets:
        allowed["api-gateway-app"].add("API_TOKEN")
    answers = node.in_each("cat /run/secrets/* | base64", APPS)
    for name, answer in answers.items():
        text = b64decode(answer).decode()
        assert set(leaked(secrets, text)) == allowed[name]
