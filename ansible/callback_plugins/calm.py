"""Stdout callback: what changed and what failed, and one line for each step that may take a while."""

from __future__ import annotations

import os
from typing import Any

from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: calm
type: stdout
author: the Play with Containers authors
short_description: What changed and what failed, and one line for each step that may take a while
description:
  - The default callback without its lines for included files. A task with " · " in its name is a step of the
    play, and is shown when it begins, so that a long run shows where it is; what it writes to its standard
    error while it is waited for is shown as its progress.
  - With CALM_ONLY_SUMMARY=1 in the environment, only summaries and failures are shown, for commands that
    answer a question.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""


_BEGINNING, _END = 500, 1000

_FULL = (
    "{host} cannot be written to: is its disk full (`df -h`), or may the user not write in its home? "
    "Correct that, then run this again."
)
# What Ansible says, and what to do about it, where its own words do not tell.
_ADVICE = {
    "No space left": _FULL,
    "temporary directory": _FULL,
    "Incorrect sudo password": (
        "sudo refuses the password of this user. Correct ansible_become_password of {host}, or run this "
        "again with --ask-become-pass."
    ),
    "Missing sudo password": (
        "sudo wants a password of this user. Set ansible_become_password for {host}, or run this again with "
        "--ask-become-pass."
    ),
}
_UNREACHABLE = (
    "{host} cannot be reached. Check that it runs, and what the inventory says of it: ansible_host, "
    "ansible_port, ansible_user and the key. Then run this again."
)


def _shortened(line: str) -> str:
    """Leave out the middle of a very long line, such as a whole build in one; -v shows it."""
    if len(line) <= _BEGINNING + _END:
        return line
    return f"{line[:_BEGINNING]} […] {line[-_END:]}"


def _advice(text: str, host: str, otherwise: str) -> str:
    """Say what to do about a failure of the connection, where its text is known."""
    return next((advice for said, advice in _ADVICE.items() if said in text), otherwise).format(host=host)


class CallbackModule(Default):
    """Ansible's default callback, calmer."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "calm"

    _step = ""
    _only_summary = os.environ.get("CALM_ONLY_SUMMARY") == "1"

    def v2_runner_retry(self, result: Any) -> None:
        """Shows the progress of a step that is waited for, and nothing else: waiting is no failure."""
        said = str(result.result.get("stderr") or "").strip()
        if said and " · " in result.task.get_name():
            self._display.display(f"    {said}", color="blue")

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Says nothing: which file a task came from is of no use to who runs it."""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Names the play, except where only the answer counts."""
        if self._only_summary:
            self._play = play
        else:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Counts what was done if that is wanted, and says which machines are not finished."""
        if not self._only_summary:
            super().v2_playbook_on_stats(stats)
        hosts = sorted(stats.processed)
        unfinished = [host for host in hosts if host in stats.failures or host in stats.dark]
        if unfinished and len(hosts) > 1:
            others = "; all others are" if len(unfinished) < len(hosts) else ""
            self._display.display(
                f"Not finished: {', '.join(unfinished)}{others}. The reason is above. To run this again only "
                f"there, add --limit {','.join(unfinished)}",
                color="red",
            )

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Shows what changed, except where only the answer counts."""
        if not self._only_summary:
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Shows what changed, and the messages that are made to be read; an include is no result."""
        if result.task.get_name().endswith(("Print the plan", "Print the summary")):
            self._display.display(str(result.result.get("msg", "")).strip())
        elif not isinstance(result.task, TaskInclude) and not self._only_summary:
            super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Shows the cause, and not the module's whole answer (which -v still shows)."""
        if ignore_errors or self._display.verbosity > 0:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._show_cause("FAILED", result, "")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Shows why a machine cannot be reached, in the same way."""
        if result.task.ignore_unreachable or self._display.verbosity > 0:
            super().v2_runner_on_unreachable(result)
        else:
            self._show_cause("UNREACHABLE", result, _UNREACHABLE)

    def _show_cause(self, word: str, result: Any, otherwise: str) -> None:
        task, host, answer = result.task, result.host.get_name(), result.result
        items = answer.get("results", [])
        failed_items = [item for item in items if isinstance(item, dict) and item.get("failed")]
        self._display.display(f"{word} {host} · {task.get_name()}", color="red")
        for item in failed_items or [answer]:
            texts = [str(item.get(key) or "").strip() for key in ("msg", "stderr", "module_stderr")]
            for text in filter(None, [*texts, _advice(" ".join(texts), host, otherwise)]):
                lines = (f"  {_shortened(line)}" for line in text.splitlines()[-40:])
                self._display.display("\n".join(lines), color="red")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Says nothing: the failed items are shown when their task ends."""
        if self._display.verbosity > 0:
            super().v2_runner_item_on_failed(result)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Shows the tasks that are marked as steps."""
        super().v2_playbook_on_task_start(task, is_conditional)
        step = task.get_name().rsplit(" : ", 1)[-1]
        # One that begins in one task and is waited for in the next is one step.
        if " · " in step and step != self._step:
            self._display.display(f"  {step}", color="blue")
            self._step = step
