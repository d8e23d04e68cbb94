# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Chooses the module of a task: what tests connectors is shipped to a host for a task that tests, and for no other."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction


class VerifyingAction(NormalAction):  # type: ignore[misc]
    """Runs a task as Ansible does without an action plugin, but with `verify` by the module that can test."""

    module_with_tester: str

    def _execute_module(self, module_name: str | None = None, **options: Any) -> Any:
        # What `verify` must not be is refused by either module.
        if module_name is None and self._task.args.get("verify") not in (None, "none"):
            module_name = self.module_with_tester
        return super()._execute_module(module_name=module_name, **options)
