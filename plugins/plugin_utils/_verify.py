# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Chooses the module of a task, so that code that tests connectors is only shipped to hosts for tasks that test."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction


class VerifyingAction(NormalAction):  # type: ignore[misc]
    """Runs a task as without an action plugin, but with `verify` uses the module that can test."""

    module_with_tester: str

    def _execute_module(self, module_name: str | None = None, **options: Any) -> Any:
        # Both modules refuse invalid values of `verify`.
        if module_name is None and self._task.args.get("verify") not in (None, "none"):
            module_name = self.module_with_tester
        return super()._execute_module(module_name=module_name, **options)
