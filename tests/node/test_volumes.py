from __future__ import annotations

from tests.node.node import Node
from tests.node.platform import LOG_VOLUME_PATH, SERVICES, Service


def test_its_volumes_are_those_of_the_contract(node: Node, service: Service) -> None:
    mounts = node.containers[service.name]["Mounts"]
    volumes = {mount["Name"]: mount for mount in mounts if mount["Type"] == "volume"}
    assert volumes.keys() == service.volumes.keys()
    for name, path in service.volumes.items():
        assert path in {None, volumes[name]["Destination"]}
        assert volumes[name]["RW"] is True


def test_what_else_it_mounts_is_read_only(node: Node, service: Service) -> None:
    for mount in node.containers[service.name]["Mounts"]:
        if mount["Type"] == "bind":
            assert mount["RW"] is False, mount["Destination"]
            assert "docker.sock" not in mount["Source"]


def test_a_database_and_the_broker_keep_their_data_on_their_volume(node: Node) -> None:
    script = (
        'case "$HOSTNAME" in *-database) df --output=target "$(psql -X -qAt -h /run/postgresql '
        '-U "$POSTGRES_USER" -d postgres -c "SHOW data_directory")" | tail -1;; '
        "rabbitmq) df --output=target /var/lib/rabbitmq/data* | tail -1;; esac"
    )
    for name, answer in node.in_each(script).items():
        if name.endswith("-database") or name == "rabbitmq":
            mounts = node.containers[name]["Mounts"]
            assert answer.strip() in [mount["Destination"] for mount in mounts if mount["Type"] == "volume"]


def test_there_are_no_other_volumes(node: Node) -> None:
    volumes = set(node.run("docker volume ls -q").split())
    assert volumes == {name for service in SERVICES for name in service.volumes}


def test_the_access_log_is_on_its_volume(node: Node) -> None:
    script = """
import urllib.request
request = urllib.request.Request(
    "http://api-gateway-app:3000/api/movies?limit=1", headers={"X-Request-ID": "test-of-the-access-log"}
)
urllib.request.urlopen(request, timeout=10).read()
print("null")
"""
    node.python("inventory-app", script)
    grep = f"docker exec api-gateway-app grep -rl test-of-the-access-log {LOG_VOLUME_PATH}"
    assert node.run(f"for try in $(seq 50); do {grep} && exit; sleep 0.1; done; exit 1").strip()
