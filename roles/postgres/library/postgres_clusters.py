#!/usr/bin/python
"""Module: tells which clusters a database's volume holds, and which one is served."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: postgres_clusters
author: the Play with Containers authors
short_description: Tells which clusters a database's volume holds, and which one is served
description:
  - C(srcs/postgres/cluster.sh) says what the directories and links of such a volume mean. Changes nothing.
options:
  name:
    description: Name of the container and of its volume.
    required: true
    type: str
  major:
    description: The major version that is described.
    required: true
    type: int
"""

RETURN = """
clusters:
  description:
    - C(problem), empty, or a sentence that says why nothing on the volume may be touched.
    - C(mountpoint), where the volume lies, or empty. C(version), the major version of the container's
      image, or empty.
    - C(current) and C(previous), the names of the clusters that are served and were served before;
      C(previous) is empty where nothing is kept. C(back), whether the latter is of the version that is
      described.
    - C(strays), clusters that an interrupted run left. C(links), each link of the volume and what it names.
    - C(upgrading), whether an upgrade was interrupted. C(served), the major versions that serve the data.
  returned: success
  type: dict
"""

CLUSTER = re.compile(r"main|(restored|upgraded)-.*")


def ask_docker(*arguments: str) -> str:
    """Return what the command printed; nothing where the object does not exist."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and "no such" not in done.stderr.lower():
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip() if not done.returncode else ""


def running_version(environment: list[str]) -> str:
    """Return the major version of an image by its environment; early images do not name theirs, 15."""
    variables = dict(each.split("=", 1) for each in environment if "=" in each)
    return variables.get("POSTGRES_MAJOR", "15")


def major_of(cluster: Path) -> str:
    """Return the major version of a cluster; empty where there is none."""
    version = cluster / "PG_VERSION"
    return version.read_text().strip() if version.exists() else ""


def describe(volume: Path, version: str, major: int) -> dict[str, object]:
    """Describe the clusters of a volume.

    Args:
        volume: its directory.
        version: the major version of the container; empty without one.
        major: the one that is described.
    """
    entries = list(volume.iterdir())
    links = {entry.name: os.readlink(entry) for entry in entries if entry.is_symlink()}
    clusters = sorted(
        entry.name
        for entry in entries
        if entry.is_dir() and not entry.is_symlink() and CLUSTER.fullmatch(entry.name)
    )
    current = links.get(f"current-{version}", "main")
    previous = links.get("previous", "")
    by_version = [name.removeprefix("current-") for name in links if name.startswith("current-")]
    # Without a link, what the first start has made is served.
    served = by_version or [major for major in [major_of(volume / "main")] if major]
    problem = ""
    if version and current not in clusters:
        problem = (
            f"the container runs PostgreSQL {version}, and the volume holds no {current} to serve, but "
            f"{', '.join(clusters) or 'nothing'}. Nothing was touched; docs/point-in-time.md says how a "
            "volume that was lost comes back."
        )
    return {
        "problem": problem,
        "mountpoint": str(volume),
        "version": version,
        "current": current,
        "previous": "" if previous == current else previous,
        "back": major_of(volume / "previous") == str(major),
        "strays": [name for name in clusters if name != "main" and name not in links.values()],
        "links": links,
        "upgrading": (volume / "upgrading").exists(),
        "served": sorted(served),
    }


def main() -> None:
    """Entry point for Ansible."""
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}, "major": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    name = module.params["name"]
    try:
        environment = ask_docker("inspect", "--type=container", '--format={{join .Config.Env "\\n"}}', name)
        mountpoint = ask_docker("volume", "inspect", "--format={{.Mountpoint}}", name)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"The Docker Engine does not answer: {error}")
    version = running_version(environment.splitlines()) if environment else ""
    if mountpoint:
        clusters = describe(Path(mountpoint), version, module.params["major"])
    else:
        clusters = {"problem": "", "mountpoint": "", "version": version, "upgrading": False, "served": []}
    if not version or not mountpoint:
        clusters["problem"] = (
            "it has no container, or has lost its volume. Run `ansible-playbook site.yml` first."
        )
    module.exit_json(changed=False, clusters=clusters)


if __name__ == "__main__":
    main()
