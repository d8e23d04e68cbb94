# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A plan as the diff that Ansible shows."""

from __future__ import annotations

from typing import Any

from .._connector.plan import Plan

Side = dict[str, Any]


def plan_diff(plan: Plan, only: str | None = None) -> dict[str, Any]:
    """Only what differs: by connector, or the fields of one where the task is about `only` that one."""
    before, after = _connectors(plan, only)
    if plan.default_moves:
        before["default"], after["default"] = plan.before.default, plan.after.default
    touched = sorted({*plan.bound, *plan.unbound})
    if touched:
        before["purposes"] = {str(each): plan.before.bindings[each] for each in touched if each in plan.before.bindings}
        after["purposes"] = {str(each): plan.after.bindings[each] for each in touched if each in plan.after.bindings}
    return {"before": before, "after": after}


def _connectors(plan: Plan, only: str | None) -> tuple[Side, Side]:
    before: Side = {}
    after: Side = {}
    for change in plan.changes:
        old, new = change.difference
        if only:
            before.update(old)
            after.update(new)
            continue
        if change.before:
            before.setdefault("connectors", {})[change.name] = old
        if change.after:
            after.setdefault("connectors", {})[change.name] = new
    return before, after
