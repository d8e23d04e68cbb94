# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector: creates, changes or deletes one connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._argspec import UPDATE_PASSWORD, VERIFY, ArgumentSpec, connector_fields
from .._connector import checks
from .._connector.declaration import Declaration, empty_blocks, parse_declaration
from .._connector.fields import FIELDS
from .._connector.plan import Request
from .._connector.view import view
from .._errors import ConnectorsFailed, DeclarationError, Problem
from .change import Tester, change_registry, create_tests, plan_diff
from .shared_options import registry_options
from .task import Task, run

_FIELD_NAMES = tuple(field.name for field in FIELDS)
_ALLOWED_STATES = {
    "default": ("present",),
    "new_name": ("present",),
    "new_default": ("present", "absent", "duplicated"),
    "copy_from": ("duplicated",),
    "clear": ("present", "duplicated"),
}


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "name": {"type": "str"},
            "state": {
                "type": "str",
                "choices": ["present", "absent", "default", "duplicated"],
                "default": "present",
            },
            "default": {"type": "bool"},
            "new_name": {"type": "str"},
            "copy_from": {"type": "str"},
            "new_default": {"type": "str"},
            "clear": {"type": "list", "elements": "str"},
            **UPDATE_PASSWORD,
            **VERIFY,
        },
        declares=["name"],
    )
    return options.merge(connector_fields(), registry_options())


def run_module(tester: Tester | None = None) -> None:
    module = Task(argument_spec(), malformed=lambda params, written: _parse_declaration(params, written)[1])
    run(module, lambda module: _connector(module, tester))


def _connector(module: Task, tester: Tester | None) -> dict[str, Any]:
    request = parse_request(module.params, module.written)
    tests = create_tests(module, tester)
    try:
        plan, changed = change_registry(module, request, tests)
    except ConnectorsFailed as failed:
        raise ConnectorsFailed(str(failed), _single_result(failed.result)) from None
    if request.declarations:
        name = request.new_name or request.declarations[0].name
    else:
        name = request.absent[0] if request.absent else str(request.default)
    connector = plan.after.connectors.get(name)
    return {
        **(_single_result({"results": tests.results(plan)}) if tests else {}),
        "changed": changed,
        "connector": view(connector, plan.after) if connector else None,
        "diff": plan_diff(plan, only=name),
    }


def _single_result(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome with the single test result in place of the list."""
    others = {name: value for name, value in outcome.items() if name != "results"}
    return {**others, "result": next(iter(outcome["results"]), None)}


def parse_request(params: Mapping[str, Any], written: Mapping[str, Any]) -> Request:
    """Parse the options into a request, or raise all problems."""
    declaration, problems = _parse_declaration(params, written)
    problems += _validate_options(params, f"connector {declaration.name}" if declaration.name else "")
    if problems:
        raise DeclarationError(problems)
    state = params["state"]
    if state == "absent":
        return Request(absent=(declaration.name,), successor=params["new_default"])
    if state == "default":
        return Request(default=declaration.name)
    if state == "duplicated":
        return Request(
            declarations=(declaration,),
            update_password=params["update_password"],
            copy_from=params["copy_from"],
            successor=params["new_default"],
        )
    name = params["new_name"] or declaration.name
    return Request(
        declarations=(declaration,),
        update_password=params["update_password"],
        new_name=params["new_name"],
        default=name if params["default"] else None,
        not_default=name if params["default"] is False else None,
        successor=params["new_default"],
    )


def _parse_declaration(params: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[Declaration, list[Problem]]:
    source = params.get("copy_from") if params.get("state") == "duplicated" and not params.get("name") else None
    default_name = f"{source}_copied" if source else None
    declaration, problems = parse_declaration(
        {"name": default_name or params.get("name"), **_fields(params)},
        clear=params.get("clear") or (),
        empty_blocks=empty_blocks(written),
    )
    if default_name and not declaration.name:
        # Either copy_from is invalid, which is a problem of its own, or the default name is too long.
        problems = [problem for problem in problems if problem.field != "name"]
        if len(default_name) > checks.MAX_CONNECTOR_NAME_LENGTH and not _check_name(params, "copy_from"):
            allowed = f"is longer than {checks.MAX_CONNECTOR_NAME_LENGTH} characters: give the duplicate a name"
            problems.append(Problem("", "name", f"{default_name}, made from copy_from {source}, {allowed}"))
    return declaration, problems


def _fields(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params.get(name) for name in _FIELD_NAMES}


def _validate_options(params: Mapping[str, Any], where: str) -> list[Problem]:
    state = params["state"]
    problems = [
        Problem(where, option, f"can only be given with state {' or '.join(states)}, not with {state}")
        for option, states in _ALLOWED_STATES.items()
        if params[option] is not None and state not in states
    ]
    if state in ("absent", "default"):
        problems += [
            Problem(where, field, f"cannot be given with state {state}")
            for field, value in _fields(params).items()
            if value is not None
        ]
    if state == "duplicated" and not params["copy_from"]:
        problems.append(Problem(where, "copy_from", "is required with state duplicated"))
    if state == "duplicated" and params["copy_from"] and params["copy_from"] == params["name"]:
        problems.append(Problem(where, "copy_from", "must be a different connector than the duplicate"))
    if params["default"] and params["enabled"] is False:
        problems.append(Problem(where, "default", "cannot be true for a connector that is disabled"))
    for option in ("new_name", "copy_from", "new_default"):
        problems += _check_name(params, option, where)
    return problems


def _check_name(params: Mapping[str, Any], option: str, where: str = "") -> list[Problem]:
    name = params[option]
    return [] if name is None else checks.run_check(checks.connector_name, name, where, option)
