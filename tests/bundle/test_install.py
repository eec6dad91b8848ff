"""What is wrong is refused before anything changes; then the platform comes up, without a network."""

from __future__ import annotations

import time
import uuid
from typing import Final

import pytest
from tests.bundle.conftest import Bundle
from tests.library.support import wait_until

# In this order. An installation takes some minutes on a busy computer.
pytestmark = pytest.mark.timeout(1200)

ORDER: Final = {"user_id": "20", "number_of_items": "99", "total_amount": "250"}


def assert_refused(bundle: Bundle, sentence: str, directory: str = "", **variables: str) -> None:
    before = bundle.state()
    done = bundle.install(directory, **variables)
    assert done.rc == 1, done.stdout + done.stderr
    assert sentence in done.stderr
    assert done.stderr.endswith("Nothing was changed.\n")
    assert bundle.state() == before


def test_the_node_has_no_way_out(bundle: Bundle) -> None:
    assert bundle.run("ip route show default") == ""


@pytest.mark.parametrize("size", [8_000, 16_000, 1_000_000, 150_000_000])
def test_a_truncated_bundle_is_refused(bundle: Bundle, size: int) -> None:
    bundle.run("rm -rf /opt/cut && install -d -o vagrant /opt/cut")
    unpack = "runuser --user vagrant -- tar -x -C /opt/cut"
    done = bundle.host.run(f"head --bytes={size} {bundle.file} | {unpack}")
    assert "Unexpected EOF" in done.stderr
    cut = "/opt/cut/" + bundle.directory.rpartition("/")[2]
    before = bundle.state()
    refused = bundle.install(cut)
    assert refused.rc != 0
    if size > 16_000:
        assert "The bundle is damaged or not complete: " in refused.stderr
    assert bundle.state() == before
    bundle.run("rm -rf /opt/cut")


def test_a_bundle_with_one_changed_byte_is_refused(bundle: Bundle) -> None:
    path = f"{bundle.directory}/images.tar.gz"
    flip = (
        f"python3 -c \"f = open('{path}', 'r+b'); f.seek(99_999_999); b = f.read(1)[0]; f.seek(99_999_999);"
        ' f.write(bytes([b ^ 1]))"'
    )
    bundle.run(flip)
    try:
        assert_refused(bundle, "these files are not as they were made: images.tar.gz.")
    finally:
        bundle.run(flip)


def test_another_release_is_refused(bundle: Bundle) -> None:
    bundle.run("printf 'ID=debian\\nVERSION_ID=99\\nPRETTY_NAME=\"Debian 99\"\\n' > /opt/os-release")
    assert_refused(bundle, "and here is Debian 99", SETUP_OS_RELEASE="/opt/os-release")


def test_too_full_a_disk_is_refused(bundle: Bundle) -> None:
    bundle.run("mkdir -p /var/lib/docker && mount -t tmpfs -o size=100m tmpfs /var/lib/docker")
    try:
        assert_refused(bundle, "There is not enough room on /var/lib/docker: 100 MiB are free, and ")
    finally:
        bundle.run("umount /var/lib/docker")


def test_it_brings_the_platform_up_and_builds_nothing(bundle: Bundle) -> None:
    started = time.monotonic()
    done = bundle.install()
    print(f"./install as {bundle.user}: {time.monotonic() - started:.0f} s")
    assert done.rc == 0, done.stdout[-5000:] + done.stderr[-5000:]
    print(done.stdout)
    assert "what is to be done" in done.stdout, "the plan"
    assert "build its image" not in done.stdout
    assert "base image" not in done.stdout
    assert "The platform is up." in done.stdout


def test_the_api_answers(bundle: Bundle) -> None:
    title = uuid.uuid4().hex
    made = bundle.api.post("/api/movies", {"title": title, "description": "From a bundle."})
    assert made.status_code == 200, made.text
    assert bundle.api.get("/api/movies", params={"title": title}).json()["movies"] == [made.json()]
    order = bundle.api.order(ORDER)
    wait_until(lambda: bundle.api.get(f"/api/billing/{order}").status_code == 200, "the order is stored")
    assert bundle.api.get("/docs").status_code == 200


def test_a_second_installation_changes_nothing(bundle: Bundle) -> None:
    before = bundle.state()
    assert before.count("play-with-containers") > 1
    started = time.monotonic()
    done = bundle.install()
    print(f"./install again: {time.monotonic() - started:.0f} s")
    assert done.rc == 0, done.stdout + done.stderr
    assert "what is to be done" not in done.stdout
    assert bundle.state() == before


def test_what_it_made_belongs_to_the_user(bundle: Bundle) -> None:
    assert bundle.run(f"find {bundle.platform} ! -user {bundle.user}") == ""
    assert bundle.run(f"stat --format %a {bundle.platform}/.env").strip() == "600"


def test_the_operator_s_commands_work_there(bundle: Bundle) -> None:
    done = bundle.host.run(f"cd {bundle.platform} && runuser --user {bundle.user} -- make status")
    assert done.rc == 0, done.stdout + done.stderr
    assert "api-gateway-app" in done.stdout


def test_a_missing_env_is_refused_where_there_is_data(bundle: Bundle) -> None:
    bundle.run(f"mv {bundle.platform}/.env /opt/env")
    try:
        assert_refused(bundle, "and here is no .env for it")
    finally:
        bundle.run(f"mv /opt/env {bundle.platform}/.env")


def test_its_packages_are_all_that_the_smallest_debian_lacks(bundle: Bundle) -> None:
    base = bundle.run(f"head --lines=1 {bundle.directory}/images").split()[1]
    install = (
        "rm -rf /etc/apt/sources.list.d; . /bundle/about;"
        'echo "deb [trusted=yes] file:/bundle/packages ./" > /etc/apt/sources.list; apt-get update >&2;'
        "apt-get install --simulate ${libraries[*]} ${engine[*]} ${apparmor[*]}"
    )
    simulated = bundle.run(
        f"docker run --rm --network none -v {bundle.directory}:/bundle:ro {base} bash -ec '{install}'"
    )
    for package in ("docker.io", "containerd", "python3-requests", "age"):
        assert f"Inst {package} " in simulated
