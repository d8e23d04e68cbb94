# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_purpose: binds purposes to connectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.plan import Request
from .._connector.state import parse_purpose
from .._errors import DeclarationError
from .change import change_registry, plan_diff
from .shared_options import registry_options
from .task import Task, run


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "purpose": {"type": "str", "required": True},
            "connector": {"type": "str"},
            "tenant": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ("connector",))],
    )
    return options.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), _connector_purpose)


def _connector_purpose(module: Task) -> dict[str, Any]:
    request = parse_request(module.params)
    plan, changed = change_registry(module, request)
    purpose = next(iter({**request.bind, **request.unbind}))
    return {
        "changed": changed,
        "purpose": purpose.name,
        "tenant": purpose.tenant or None,
        "connector": plan.after.bindings.get(purpose),
        "diff": plan_diff(plan),
    }


def parse_request(params: Mapping[str, Any]) -> Request:
    """Parse the options into a request, or raise all problems."""
    purpose, problems = parse_purpose(params["purpose"], params["tenant"])
    connector = params["connector"]
    if connector is not None:
        problems += checks.run_check(checks.connector_name, connector, "", "connector")
    if problems:
        raise DeclarationError(problems)
    return Request(unbind={purpose: connector}) if params["state"] == "absent" else Request(bind={purpose: connector})
