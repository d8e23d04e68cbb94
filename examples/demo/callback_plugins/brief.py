# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print one line per task, and the message of tasks that have one."""

from __future__ import annotations

import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: brief
type: stdout
short_description: One line per task
description:
  - Prints one line per task, and the message of tasks that have one.
author: [mailroom.core contributors]
version_added: 0.1.0
"""

COLOURS = {"ok": "green", "changed": "yellow", "failed": "red"}
NOT_SHOWN = ("copy", "file", "include_role", "include_tasks", "set_fact", "set_stats", "validate_argument_spec")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """A stdout callback for output that is read by people."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "brief"

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Print a task that has passed."""
        self._print("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result: t.Any, **_options: t.Any) -> None:
        """Print a task that has failed."""
        self._print("failed", result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print the counts of each host, as the recap does."""
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            kinds = ("ok", "changed", "failures", "unreachable")
            self._display.display(f"{host}: " + ", ".join(f"{kind}={counts[kind]}" for kind in kinds))

    def _print(self, status: str, result: t.Any) -> None:
        action = result.task.action.rpartition(".")[2]
        if action in NOT_SHOWN:
            return
        self._display.display(f"{status:8} {result.task.name}", color=COLOURS[status])
        message = result.result.get("msg") if action in ("debug", "fail") or status == "failed" else None
        lines = message if isinstance(message, list) else (message or "").splitlines()
        for line in lines:
            self._display.display(f"         {line}")
