"""Callback: a playbook that found no machine, or not its configuration, has failed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hosts_found
type: notification
author: the Play with Containers authors
short_description: A playbook that found no machine, or not its configuration, has failed
description:
  - Ansible ends well where no machine of the inventory is one that a play is for. Nothing was done then, and
    that is not what was asked for.
  - It lies beside the playbooks, where Ansible finds it whatever folder it was started in.
"""

ROOT = Path(__file__).resolve().parents[2]
EXIT_USAGE = 5


class CallbackModule(CallbackBase):
    """Entry point for Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "hosts_found"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Refuses another configuration: plugins and roles would be missing, with a riddle for a message."""
        used = constants.config.get_config_value("DEFAULT_FILTER_PLUGIN_PATH")
        if ROOT / "ansible/plugins/filter" not in [Path(path).resolve() for path in used]:
            self._refuse(
                f"The ansible.cfg of this project was not read (it was {constants.CONFIG_FILE or 'none'}). "
                f"Run this in {ROOT}, or with the ansible-playbook of its .venv, or with "
                f"ANSIBLE_CONFIG={ROOT / 'ansible.cfg'}."
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

    def _refuse(self, sentence: str) -> None:
        self._display.display(f"ERROR: {sentence}", color="red", stderr=True)
        # An exception that is an error would only be a warning here.
        sys.exit(EXIT_USAGE)
