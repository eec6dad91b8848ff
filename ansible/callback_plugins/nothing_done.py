"""Callback: refuses a run that would do nothing, or not all that was asked for, and end well."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: nothing_done
type: notification
author: the Play with Containers authors
short_description: Refuses a run that would do nothing, or not all that was asked for, and end well
description:
  - Ansible ends well where no machine of the inventory is one that a play is for, and where no task has a tag
    that is asked for.
  - It lies beside the playbooks, where Ansible finds it whatever folder it was started in. With another
    configuration than this project's, plugins and roles would be missing, with a riddle for a message.
"""

ROOT = Path(__file__).resolve().parents[2]
EXIT_USAGE = 5
PHASES = ("preflight", "engine", "build", "run", "verify")
# Ansible's own, and those that Molecule always leaves out.
MOLECULES = {"molecule-notest", "molecule-idempotence-notest", "notest"}
TAGS = {*PHASES, *MOLECULES, "all", "always", "never", "tagged", "untagged"}


class CallbackModule(CallbackBase):
    """Entry point for Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "nothing_done"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Refuses another configuration, and tags that are not there."""
        used = constants.config.get_config_value("DEFAULT_FILTER_PLUGIN_PATH")
        if ROOT / "ansible/plugins/filter" not in [Path(path).resolve() for path in used]:
            self._refuse(
                f"The ansible.cfg of this project was not read (it was {constants.CONFIG_FILE or 'none'}). "
                f"Run this in {ROOT}, or with the ansible-playbook of its .venv, or with "
                f"ANSIBLE_CONFIG={ROOT / 'ansible.cfg'}."
            )

        # The program `ansible` has no tags.
        named = {*context.CLIARGS.get("tags", ()), *context.CLIARGS.get("skip_tags", ())}
        unknown = sorted(named - TAGS)
        if unknown:
            self._refuse(
                f"There is no tag {', '.join(unknown)}. The phases of site.yml are {', '.join(PHASES)}; "
                "other playbooks have no tags."
            )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remembers the play."""
        self._play = play

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Fails: Ansible itself would only skip the play."""
        hosts = self._play.hosts
        wanted = ", ".join(hosts) if isinstance(hosts, list) else hosts
        self._refuse(
            f"Nothing was done: no machine was found. This play is for {wanted}. Look what --inventory and "
            "--limit say, and whether the machine stands below that group in the inventory ([platform] in "
            "inventory.ini)."
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Fails where no task was for the tags, or after the task, that were asked for."""
        if not stats.processed:
            self._refuse("Nothing was done: no task is what --tags, --skip-tags or --start-at-task ask for.")

    def _refuse(self, sentence: str) -> None:
        self._display.display(f"ERROR: {sentence}", color="red", stderr=True)
        # An exception that is an error would only be a warning here.
        sys.exit(EXIT_USAGE)
