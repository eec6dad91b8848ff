from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.library.settings import DEBIAN
from tests.node.node import Node
from tests.node.platform import APPS, NAMES, Service

MB = 1_000_000
CERTIFICATES = Path("/usr/local/share/ca-certificates")

# As `find -name` takes them.
COMPILERS = [
    *["cc", "c++", "c89", "c99", "gcc", "gcc-[0-9]*", "g++", "g++-[0-9]*", "cpp", "cpp-[0-9]*"],
    *["*-linux-gnu-gcc*", "clang", "clang-[0-9]*", "tcc", "ld", "ld.bfd", "ld.gold", "as"],
    *["make", "cmake", "rustc", "cargo", "go"],
]
INSTALLERS = [
    *["pip", "pip3", "pip[23].*", "pip-*.dist-info", "pip-*.egg-info", "ensurepip"],
    *["easy_install", "uv", "pipx", "npm"],
]


def find(node: Node, names: list[str]) -> dict[str, list[str]]:
    """Look for files in every image, and for one that is there: a search that finds nothing is none."""
    tests = " -o ".join(f"-name '{name}'" for name in [*names, "debian_version"])
    # What documents or lists a program is not the program.
    skipped = "\\( -path /proc -o -path /usr/share -o -path /var/lib/dpkg \\) -prune"
    # A few directories are closed to a root without capabilities; they are apt's, and empty.
    script = f"find / -xdev {skipped} -o \\( {tests} \\) -print 2>/dev/null || true"
    answers = node.in_each(script, options="--user 0")
    return {name: [path for path in answer.splitlines() if path] for name, answer in answers.items()}


def test_its_image_has_its_name_and_a_tag_that_is_not_latest(node: Node, service: Service) -> None:
    image = node.containers[service.name]["Config"]["Image"]
    name, _, tag = image.partition(":")
    assert name == service.name
    assert tag not in {"", "latest"}
    assert node.image_of(service.name)["RepoTags"], "the image still has its name"


def test_no_image_is_tagged_latest(node: Node) -> None:
    tags = [tag for image in node.everything["images"].values() for tag in image["RepoTags"] or []]
    assert not [tag for tag in tags if tag.endswith(":latest")]


def test_its_image_was_built_here(node: Node, service: Service) -> None:
    image = node.image_of(service.name)
    assert not image["RepoDigests"], "an image with a digest of a repository was pulled"
    assert image["Config"]["Labels"]["play-with-containers.image"] == service.name


def test_its_image_says_what_is_to_be_run_and_as_whom(node: Node, service: Service) -> None:
    config = node.image_of(service.name)["Config"]
    assert config["Healthcheck"]["Test"][0] in {"CMD", "CMD-SHELL"}
    assert re.match(r"[1-9][0-9]*", config["User"])


def test_all_images_are_of_the_debian_that_is_described(node: Node) -> None:
    for name, answer in node.in_each(
        "cat /etc/debian_version; . /etc/os-release; echo $ID $VERSION_ID"
    ).items():
        version, system = answer.splitlines()
        assert version.startswith(f"{DEBIAN}."), name
        assert system == f"debian {DEBIAN}", name


def test_all_images_start_from_the_same_base(node: Node) -> None:
    layers = [node.image_of(name)["RootFS"]["Layers"][0] for name in NAMES]
    assert len(set(layers)) == 1


def test_images_hold_no_package_installer_for_python(node: Node) -> None:
    for name, found in find(node, INSTALLERS).items():
        assert found == ["/etc/debian_version"], name


def test_images_hold_no_compiler(node: Node) -> None:
    for name, found in find(node, COMPILERS).items():
        assert found == ["/etc/debian_version"], name


def test_no_file_of_an_image_gives_its_callers_anothers_rights(node: Node) -> None:
    # A few directories are closed to a root without capabilities; they are apt's, and empty.
    script = "find / -xdev \\( -path /etc/debian_version -o -type f -perm /6000 \\) 2>/dev/null || true"
    for name, found in node.in_each(script, options="--user 0").items():
        assert found.split() == ["/etc/debian_version"], name


def test_images_hold_no_secret(node: Node) -> None:
    # A container's volume hides what its image has in that place. What a package makes when it is installed
    # counts: it is the same wherever the image runs.
    script = "find / -xdev -name .erlang.cookie; grep -rl 'PRIVATE KEY-----' /etc /root /home /var || true"
    for image in {node.containers[name]["Image"] for name in NAMES}:
        options = f"--rm --network none --user 0 --entrypoint sh {image}"
        assert node.run(f"docker run {options} -c {shlex.quote(script)}") == "", image


def test_images_hold_no_package_lists(node: Node) -> None:
    script = (
        "find /etc/debian_version /var/lib/apt/lists /var/cache/apt -type f ! -name lock 2>/dev/null || true"
    )
    for name, found in node.in_each(script, options="--user 0").items():
        assert found.split() == ["/etc/debian_version"], name


def test_images_trust_no_authority_beyond_the_distributions(node: Node) -> None:
    script = (
        "find /usr/local/share/ca-certificates -name '*.crt' 2>/dev/null || true;"
        "ls -l /etc/ssl/certs 2>/dev/null | grep /usr/local || true"
    )
    for name, found in node.in_each(script, options="--user 0").items():
        assert found == "", name


@pytest.mark.skipif(
    not list(CERTIFICATES.glob("*.crt")), reason="this machine trusts no authority of its own"
)
def test_the_authorities_of_this_machine_are_in_no_image(node: Node) -> None:
    # The middle of a certificate is like no other's.
    lines = []
    for certificate in CERTIFICATES.glob("*.crt"):
        text = certificate.read_text().splitlines()
        lines.append(text[len(text) // 2])
    patterns = " ".join(f"-e '{line}'" for line in lines)
    script = f"grep -rlF {patterns} /etc /opt /usr /var/lib /root 2>/dev/null || true"
    for name, found in node.in_each(script, options="--user 0").items():
        assert found == "", name


def test_images_are_small(node: Node) -> None:
    sizes = {name: node.image_of(name)["Size"] / MB for name in NAMES}
    bases = [
        image["Size"] / MB
        for image in node.everything["images"].values()
        if image["RootFS"]["Layers"]
        == node.image_of("rabbitmq")["RootFS"]["Layers"][: len(image["RootFS"]["Layers"])]
    ]
    for name in APPS:
        assert sizes[name] - min(bases) <= 130, name
    assert sizes["rabbitmq"] < 250
    assert sizes["inventory-database"] < 300
    assert sizes["billing-database"] < 300
