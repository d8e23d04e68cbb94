# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connectors: declares an environment in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._argspec import UPDATE_PASSWORD, VERIFY, ArgumentSpec, connector_list
from .._connector import checks
from .._connector.declaration import Declaration, empty_blocks, parse_declaration
from .._connector.diff import CHANGED, STORED
from .._connector.plan import Request
from .._connector.state import Purpose, parse_purpose
from .._errors import Problem, printable
from .change import Tester, change_registry, create_tests, plan_diff
from .shared_options import registry_options
from .task import Task, run


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "default": {"type": "str"},
            "purposes": {"type": "dict"},
            "purge": {"type": "bool", "default": False},
            "merge": {"type": "bool", "default": False},
            **UPDATE_PASSWORD,
            **VERIFY,
        }
    )
    return connector_list().merge(options, registry_options())


def run_module(tester: Tester | None = None) -> None:
    module = Task(argument_spec(), malformed=lambda params, written: _parse_declarations(params, written)[1])
    run(module, lambda module: _connectors(module, tester))


def _connectors(module: Task, tester: Tester | None) -> dict[str, Any]:
    tests = create_tests(module, tester)
    plan, changed = change_registry(module, parse_request(module.params, module.written), tests)
    diff = plan_diff(plan)
    if changed and not plan.changed:
        # The only change is that secrets are sealed again with a new first key.
        diff["before"]["registry_key"], diff["after"]["registry_key"] = STORED, CHANGED
    return {
        **({"results": tests.results(plan)} if tests else {}),
        "changed": changed,
        "created": plan.created,
        "updated": plan.updated,
        "deleted": plan.deleted,
        "unchanged": plan.unchanged,
        "default": plan.after.default,
        "diff": diff,
    }


def parse_request(params: Mapping[str, Any], written: Mapping[str, Any]) -> Request:
    """Parse the options into a request, with all problems."""
    declarations, problems = _parse_declarations(params, written)
    bind, purpose_problems = _parse_purposes(params["purposes"] or {})
    problems += purpose_problems
    default = params["default"]
    default_problems = checks.run_check(checks.connector_name, default, "", "default") if default is not None else []
    problems += default_problems
    if params["purge"] and not params["connectors"]:
        problems.append(
            Problem("", "purge", "must not be true with an empty list of connectors, which would delete all")
        )
    wrong = {problem.where for problem in problems}
    return Request(
        declarations=tuple(each for each in declarations if each.name and f"connector {each.name}" not in wrong),
        problems=tuple(problems),
        merge=params["merge"],
        update_password=params["update_password"],
        purge=params["purge"],
        default=None if default_problems else default,
        successor_option="default",
        bind=bind,
        purge_purposes=params["purge"] and params["purposes"] is not None,
    )


def _parse_declarations(
    params: Mapping[str, Any], written: Mapping[str, Any]
) -> tuple[list[Declaration], list[Problem]]:
    entries = params["connectors"]
    if not isinstance(entries, list):
        allowed = "is required" if entries is None else "must be a list of connectors, each with a name"
        return [], [Problem("", "connectors", allowed)]
    declarations: dict[str, Declaration] = {}
    problems: list[Problem] = []
    for position, (entry, raw) in enumerate(zip(entries, written["connectors"])):
        where = f"connectors[{position}]"
        if not isinstance(entry, dict):
            problems.append(Problem(where, "", "must be a dictionary"))
            continue
        whole = not params["merge"]
        declaration, found = parse_declaration(entry, where=where, empty_blocks=empty_blocks(raw), whole=whole)
        problems += found
        if declaration.name and declaration.name in declarations:
            problems.append(Problem(where, "name", f"{declaration.name} is a duplicate"))
        declarations[declaration.name] = declaration
    return list(declarations.values()), problems


def _parse_purposes(purposes: Mapping[str, Any]) -> tuple[dict[Purpose, str], list[Problem]]:
    bind: dict[Purpose, str] = {}
    problems: list[Problem] = []
    for key, connector in purposes.items():
        name, at, tenant = str(key).partition("@")
        purpose, found = parse_purpose(name, tenant)
        if at and not tenant:
            found.append(Problem("", "tenant", "is required after the @"))
        found += checks.run_check(checks.connector_name, connector, "", "connector")
        problems += [Problem(f"purposes[{printable(str(key)[:200])}]", each.field, each.message) for each in found]
        if not found:
            bind[purpose] = connector
    return bind, problems
