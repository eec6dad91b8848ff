from __future__ import annotations

import re

from tests.node.node import Node
from tests.node.platform import Service

MIB = 1024 * 1024


def test_it_runs_and_is_healthy(node: Node, service: Service) -> None:
    state = node.containers[service.name]["State"]
    assert state["Status"] == "running"
    assert state["Health"]["Status"] == "healthy", state["Health"]["Log"][-1:]
    assert not state["OOMKilled"]


def test_its_health_check_asks_something(node: Node, service: Service) -> None:
    check = node.containers[service.name]["Config"]["Healthcheck"]
    assert check["Test"][0] in {"CMD", "CMD-SHELL"}
    assert len(check["Test"]) > 1
    assert check["Test"][1] not in {"true", "/bin/true", "exit 0"}
    assert check["Timeout"] > 0
    assert check["Interval"] > 0


def test_it_comes_back_after_a_crash_and_a_restart_of_the_machine(node: Node, service: Service) -> None:
    policy = node.containers[service.name]["HostConfig"]["RestartPolicy"]["Name"]
    assert policy in {"unless-stopped", "always"}


def test_its_user_is_a_number_and_not_root(node: Node, service: Service) -> None:
    user = node.containers[service.name]["Config"]["User"]
    assert re.fullmatch(r"[1-9][0-9]*(:[1-9][0-9]*)?", user), user


def test_no_two_kinds_of_containers_have_the_same_user(node: Node) -> None:
    users = {name: container["Config"]["User"] for name, container in node.containers.items()}
    databases = {users.pop("inventory-database"), users.pop("billing-database")}
    assert len({*users.values(), *databases}) == len(users) + len(databases)


def test_it_has_no_capabilities(node: Node, service: Service) -> None:
    host_config = node.containers[service.name]["HostConfig"]
    assert host_config["CapDrop"] == ["ALL"]
    assert not host_config["CapAdd"]
    assert host_config["Privileged"] is False


def test_its_processes_have_no_privileges_and_can_gain_none(node: Node) -> None:
    script = "grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/1/status"
    for name, answer in node.in_each(script).items():
        status = dict(re.findall(r"(\w+):\s+(\w+)", answer))
        for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[capabilities], 16) == 0, f"{name}: {capabilities}"
        assert status["NoNewPrivs"] == "1", name


def test_it_can_gain_no_privileges(node: Node, service: Service) -> None:
    options = node.containers[service.name]["HostConfig"]["SecurityOpt"]
    assert {"no-new-privileges", "no-new-privileges:true"} & set(options)
    assert not [option for option in options if "unconfined" in option or option.endswith("disable")]


def test_it_shares_nothing_with_the_node(node: Node, service: Service) -> None:
    host_config = node.containers[service.name]["HostConfig"]
    for namespace in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "NetworkMode"):
        assert host_config[namespace] != "host"
    assert not host_config["Devices"]


def test_its_root_file_system_is_read_only(node: Node, service: Service) -> None:
    assert node.containers[service.name]["HostConfig"]["ReadonlyRootfs"] is True


def test_nothing_can_be_written_outside_of_volumes_and_memory(node: Node) -> None:
    script = (
        "for directory in / /etc /opt /usr /usr/local/bin /var /var/lib /home; do"
        ' if touch "$directory/test-of-writing" 2>/dev/null; then echo "$directory"; fi; done'
    )
    for name, written in node.in_each(script, options="--user 0").items():
        assert written == "", name


def test_what_it_keeps_in_memory_is_limited_and_holds_no_programs(node: Node, service: Service) -> None:
    for path, options in node.containers[service.name]["HostConfig"]["Tmpfs"].items():
        assert {"noexec", "nosuid", "nodev"} <= set(options.split(",")), path
        assert "size=" in options, path


def test_its_memory_and_processes_are_limited(node: Node, service: Service) -> None:
    host_config = node.containers[service.name]["HostConfig"]
    assert 0 < host_config["Memory"] <= 1024 * MIB
    assert host_config["MemorySwap"] == host_config["Memory"], "swap would be a way around the limit"
    assert 0 < host_config["PidsLimit"] <= 4096


def test_an_init_process_collects_its_orphans(node: Node, service: Service) -> None:
    assert node.containers[service.name]["HostConfig"]["Init"] is True


def test_its_log_is_rotated(node: Node, service: Service) -> None:
    log = node.containers[service.name]["HostConfig"]["LogConfig"]
    assert log["Type"] in {"json-file", "local"}
    assert log["Config"]["max-size"]
    assert int(log["Config"]["max-file"]) >= 1


def test_it_has_time_to_stop(node: Node, service: Service) -> None:
    assert node.containers[service.name]["Config"]["StopTimeout"] >= 10
