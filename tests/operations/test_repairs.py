"""What somebody has changed or broken by hand is put right by the next run, or refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from tests.library.api import Api
from tests.library.settings import ENV_FILE, MANAGEMENT_URL, Secrets
from tests.library.support import wait_until
from tests.node.node import Node
from tests.operations.operator import Operator

pytestmark = pytest.mark.timeout(3600)


def names(node: Node) -> set[str]:
    return set(node.run("docker ps -a --format '{{.Names}}'").split())


def is_ready(api: Api) -> bool:
    try:
        response = api.get("/health/ready")
    except requests.ConnectionError:
        return False
    return response.status_code == 200 and response.json()["status"] == "ready"


@contextmanager
def hand_made(node: Node, name: str, command: str) -> Iterator[None]:
    """A container that somebody else has made."""
    node.run(f"docker run --detach --name {name} {command}")
    try:
        yield
    finally:
        node.run(f"docker rm --force {name}")


# --- Two servers on one volume, and names -----------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("name", ["inventory-database", "rabbitmq"])
def test_a_second_server_on_a_volume_ends_and_names_the_first(node: Node, name: str) -> None:
    container = node.inspect(name)[name]
    options = [f"--volumes-from {name}", f"--tmpfs /run/{name}"]
    options += [f"--env '{setting}'" for setting in container["Config"]["Env"]]
    output = node.run(
        f"docker run --rm {' '.join(options)} {container['Config']['Image']} 2>&1; echo code $?"
    )
    assert f"the volume is in use by the container {name}" in output
    assert output.endswith("code 78\n")
    assert node.inspect(name)[name]["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("name", ["inventory-app", "inventory-database", "rabbitmq", "api-gateway-app"])
def test_a_container_that_was_renamed_gets_its_name_back(
    operator: Operator, node: Node, api: Api, name: str
) -> None:
    identity = node.inspect(name)[name]["Id"]
    node.run(f"docker rename {name} {name}-old")
    told = operator.run("site.yml", "--check", operate_service=name)
    assert f"{name}-old is a container of {name} and would get its name back" in told.text
    assert operator.run("site.yml", operate_service=name).changes
    assert node.inspect(name)[name]["Id"] == identity
    assert f"{name}-old" not in names(node)
    wait_until(lambda: is_ready(api), "the platform is ready", seconds=60)


def test_a_server_that_runs_beside_the_described_one_is_removed(operator: Operator, node: Node) -> None:
    image = node.inspect("inventory-app")["inventory-app"]["Config"]["Image"]
    node.run("docker rename inventory-app inventory-app-old")
    node.run(f"docker create --name inventory-app --label play-with-containers.service=inventory-app {image}")
    operator.run("site.yml", operate_service="inventory-app")
    assert "inventory-app-old" not in names(node)
    assert node.inspect("inventory-app")["inventory-app"]["State"]["Health"]["Status"] == "healthy"


def test_a_container_of_somebody_else_with_our_name_is_not_touched(operator: Operator, node: Node) -> None:
    image = node.inspect("inventory-app")["inventory-app"]["Config"]["Image"]
    operator.run("ansible/scale.yml", operate_service="inventory-app", operate_replicas="1")
    with hand_made(node, "inventory-app-2", f"--entrypoint sleep {image} 600"):
        operator.refused(
            "ansible/scale.yml",
            "has a container inventory-app-2 that is not of this platform",
            "docker rename inventory-app-2",
            operate_service="inventory-app",
            operate_replicas="2",
        )
        assert node.inspect("inventory-app-2")["inventory-app-2"]["State"]["Running"]


def test_a_volume_that_somebody_else_uses_is_not_served(operator: Operator, node: Node) -> None:
    image = node.inspect("inventory-database")["inventory-database"]["Config"]["Image"]
    with hand_made(node, "visitor", f"--volume inventory-database:/data --entrypoint sleep {image} 600"):
        operator.refused(
            "site.yml",
            "The container visitor",
            "uses a volume of inventory-database",
            "stop that container",
            operate_service="inventory-database",
        )


def test_a_container_of_a_service_that_is_not_described_any_more_is_told(
    operator: Operator, node: Node
) -> None:
    image = node.inspect("inventory-app")["inventory-app"]["Config"]["Image"]
    label = "--label play-with-containers.service=shop-app"
    with hand_made(node, "shop-app", f"{label} --entrypoint sleep {image} 600"):
        told = operator.run("site.yml", "--check")
        assert "shop-app is of a service that is not described any more" in told.text
        assert "docker rm --force shop-app" in told.text


# --- What a container was made of is gone -----------------------------------------------------


@pytest.mark.parametrize("network", ["pruned", "made anew by hand"])
@pytest.mark.parametrize("playbook", ["ansible/start.yml", "site.yml"])
def test_all_start_again_although_their_network_is_gone(
    operator: Operator, node: Node, api: Api, playbook: str, network: str
) -> None:
    operator.run("ansible/stop.yml")
    node.run("docker network prune --force")
    if network == "made anew by hand":
        node.run("docker network create play_with_containers_network")
    operator.run(playbook)
    assert is_ready(api)
    assert operator.run("site.yml").changes == []


def test_containers_that_were_pruned_are_told_and_made_anew(operator: Operator, node: Node, api: Api) -> None:
    operator.run("ansible/stop.yml")
    node.run("docker system prune --force")
    operator.refused("ansible/start.yml", "nothing was started", "ansible-playbook site.yml")
    operator.run("site.yml")
    assert is_ready(api)


def test_an_image_that_was_removed_under_a_stopped_container_is_built_again(
    operator: Operator, node: Node, api: Api
) -> None:
    operator.run("ansible/stop.yml", operate_service="inventory-app")
    image = node.inspect("inventory-app")["inventory-app"]["Config"]["Image"]
    node.run(f"docker rmi --force {image}")
    operator.run("site.yml", operate_service="inventory-app")
    wait_until(lambda: is_ready(api), "the platform is ready", seconds=60)


# --- What health depends on ---------------------------------------------------------------------


def test_the_broker_is_repaired_before_its_health_is_waited_for(
    operator: Operator, node: Node, api: Api, env: Secrets
) -> None:
    node.run(
        "docker exec rabbitmq sh -c '"
        "rabbitmqctl -q delete_queue billing_queue;"
        "rabbitmqctl -q change_password health not-the-right-one;"
        'rabbitmqctl -q set_policy drop "^billing" "{\\"max-length\\":1}";'
        "rabbitmqctl -q add_user intruder not-the-right-one;"
        "rabbitmqctl -q set_user_tags admin'"
    )
    checked = node.run("docker exec rabbitmq healthcheck || true")
    assert "ansible-playbook site.yml" in checked
    result = operator.run("site.yml", operate_service="rabbitmq")
    assert result.seconds < 100
    administrator = (env["RABBITMQ_DEFAULT_USER"], env["RABBITMQ_DEFAULT_PASS"])
    for kind in ("users", "policies"):
        found = requests.get(f"{MANAGEMENT_URL}/api/{kind}", auth=administrator, timeout=30).json()
        assert not {item["name"] for item in found} & {"intruder", "drop"}
    assert node.inspect("rabbitmq")["rabbitmq"]["State"]["Health"]["Status"] == "healthy"
    api.stored_order(
        api.order({"user_id": "repaired", "number_of_items": 1, "total_amount": "1"}), seconds=120
    )


def test_the_database_is_repaired_before_the_health_of_its_app_is_waited_for(
    operator: Operator, node: Node, api: Api, env: Secrets
) -> None:
    app = env["INVENTORY_APP_DATABASE_USER"]
    statements = (
        "REVOKE ALL ON movies FROM app; REVOKE USAGE ON SCHEMA public FROM app, PUBLIC;"
        f"ALTER ROLE {app} NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '2020-01-01' PASSWORD 'another'"
    )
    psql = f"psql -h /run/postgresql -U {env['POSTGRES_USER']} -d movies"
    node.run(f'docker exec inventory-database {psql} -c "{statements}"')
    node.run("docker restart inventory-app")
    operator.run("site.yml")
    assert is_ready(api)
    assert api.get("/api/movies?limit=1").status_code == 200


def test_a_run_that_was_cut_off_after_it_wrote_secrets_is_finished_by_the_next(
    operator: Operator, node: Node, api: Api, env: Secrets
) -> None:
    changed = Secrets({**env, "HEALTH_RABBITMQ_PASSWORD": env["HEALTH_RABBITMQ_PASSWORD"][::-1]})
    secret = "/etc/play-with-containers/rabbitmq-secrets/health.curl"
    before = node.run(f"sha256sum {secret}")
    operator.kill_when(lambda: node.run(f"sha256sum {secret}") != before, "site.yml", platform_env=changed)
    try:
        operator.run("site.yml", break_lock="yes", platform_env=changed)
        assert node.inspect("rabbitmq")["rabbitmq"]["State"]["Health"]["Status"] == "healthy"
    finally:
        operator.run("site.yml", break_lock="yes")
    assert is_ready(api)


# --- Passwords ------------------------------------------------------------------------------------

ODD_PASSWORDS = (
    " leading space",
    "#leading hash",
    "\"double\" and 'single' quotes",
    "back\\slash \\n \\",
    "trailing space and tab ",
    "{{ 7 * 7 }} {% raw %} {#",
    "$HOME ${X} `id` %s %(x)s",
    "ß™日本 e\u0301\u00a0\u00ad longer",
    "x" * 512,
    "a=b&c;d|e<f>*?!~^:@/",
)


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize("first", [0, 6])
def test_every_password_that_env_takes_lets_every_account_in(
    operator: Operator, node: Node, api: Api, env: Secrets, tmp_path: Path, first: int
) -> None:
    changed = dict(env)
    for number, key in enumerate(key for key in env if key.endswith(("_PASSWORD", "_PASS"))):
        changed[key] = ODD_PASSWORDS[(number + first) % len(ODD_PASSWORDS)]
    file = tmp_path / "odd.env"
    file.write_text("".join(f"{key}={quoted(value)}\n" for key, value in changed.items()))
    try:
        operator.run("site.yml", platform_env_file=str(file))
        node.run("docker restart --time 30 rabbitmq inventory-app billing-app api-gateway-app")
        wait_until(lambda: is_ready(api), "the platform is ready", seconds=120)
        assert operator.run("site.yml", platform_env_file=str(file)).changes == []
        operator.run("ansible/dead_letters.yml", platform_env_file=str(file))
    finally:
        operator.run("site.yml", platform_env_file=str(ENV_FILE))


def test_a_run_does_not_believe_a_password_that_it_has_not_used(operator: Operator, env: Secrets) -> None:
    # The broker's frame is too small for it; a file of its own, since .env refuses it.
    changed = {**env, "API_GATEWAY_APP_RABBITMQ_PASSWORD": "x" * 5000}
    try:
        operator.refused("site.yml", "rabbitmq refuses the password", "api_gateway_app", platform_env=changed)
    finally:
        operator.run("site.yml")


# --- The network between healthy containers -----------------------------------------------------


def test_a_firewall_that_loses_dockers_rules_is_told_and_put_right(
    operator: Operator, node: Node, api: Api
) -> None:
    node.run("iptables --flush; iptables --table nat --flush")
    wait_until(lambda: not is_ready(api), "the gateway misses the others", seconds=60)
    answer = json.loads(operator.run("ansible/status.yml", answer_only=True, operate_format="json").output)
    reasons = {name: check.get("reason", "") for name, check in answer["gateway"]["dependencies"].items()}
    assert "over the network" in reasons["inventory-app"]
    assert "over the network" in reasons["rabbitmq"]
    verified = operator.attempt("site.yml", "--tags", "verify")
    assert verified.code != 0
    assert "over the network" in verified.text
    assert "has lost Docker's rules" in operator.run("site.yml").text
    assert is_ready(api)
