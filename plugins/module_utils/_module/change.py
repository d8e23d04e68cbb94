# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How a task changes the registry: planned, tested where that is asked for, carried out, and shown as a diff."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Callable, Protocol

from .._connector.plan import Plan, Request
from .._connector.planning import make_plan
from .._connector.state import Connector, Stamp
from .._errors import DeclarationError, MailroomError, MissingLibrary, Problem, RegistryError, RegistryKeyError
from .._registry.registry import Migration, Reader, Registry, Writer
from .shared_options import open_registry, stamp
from .task import Task

MOST_ATTEMPTS = 5
MOST_NAMED = 20


class Tests(Protocol):
    """The tests of a task, so that what tests connectors is not imported, and not shipped, where nothing is tested."""

    @property
    def untested_here(self) -> Sequence[str]: ...

    def untested(self, plan: Plan) -> Sequence[Connector]: ...

    def trials(self, plan: Plan, reader: Reader) -> Sequence[Any]: ...

    def test(self, trials: Sequence[Any]) -> None: ...

    def results(self, plan: Plan) -> list[dict[str, Any]]: ...


Tester = Callable[[str, bool, bool], Tests]
"""Makes the tests of a depth; in check mode or not, and verbose or not."""


def tests_of(module: Task, tester: Tester | None) -> Tests | None:
    """The tests that a task asks for with `verify`. The action plugin runs a module with a tester for such a task."""
    depth = module.params["verify"]
    if depth == "none":
        return None
    if tester is None:
        allowed = "must be none where the module is not run by its action plugin, as a task or ad hoc command does"
        raise DeclarationError([Problem("", "verify", allowed)])
    return tester(depth, module.check_mode, module.is_verbose)


class _Untested(MailroomError):
    """The registry has changed since the tests, so that what would be committed now was not tested."""


def change(module: Task, request: Request, tests: Tests | None = None) -> tuple[Plan, bool]:
    """Plan a request, have it tested where that is asked for, and carry it out, except in check mode.

    Say the plan and whether anything changes.
    """
    try:
        return _plan_and_apply(module, request, tests)
    except (RegistryError, RegistryKeyError):
        if request.problems:
            raise DeclarationError(request.problems) from None
        raise


def _plan_and_apply(module: Task, request: Request, tests: Tests | None) -> tuple[Plan, bool]:
    registry = open_registry(module)
    now = stamp(module)
    for _attempt in range(MOST_ATTEMPTS):
        if module.check_mode or tests or not registry.exists() or not _is_writable(registry):
            plan, changed, migration = _look_ahead(module, registry, request, now, tests)
            writes = changed or bool(migration.due)
            if module.check_mode and writes:
                registry.check_writable(seals=plan.has_new_secrets)
            if module.check_mode or not writes:
                return _report_outcome(module, plan, changed, migration)
        with suppress(_Untested):
            return _report_outcome(module, *_carry_out(registry, request, now, tests))
    raise RegistryError("Others keep changing these connectors while they are tested: run the task again.")


def _is_writable(registry: Registry) -> bool:
    """Whether this user may change the registry. Who may not can still run a task that changes nothing."""
    try:
        registry.check_writable()
    except RegistryError:
        return False
    return True


def _look_ahead(
    module: Task, registry: Registry, request: Request, now: Stamp, tests: Tests | None
) -> tuple[Plan, bool, Migration]:
    """The plan as things are. It is tested when the registry is let go of: others go on working meanwhile."""
    with registry.reading() as reader:
        plan, changed = _plan(request, reader, now, lacking=module.warn if module.check_mode else None)
        migration = reader.migration()
        trials = tests.trials(plan, reader) if tests else []
    if tests:
        tests.test(trials)
        for reason in dict.fromkeys(tests.untested_here):
            module.warn(reason)
    return plan, changed, migration


def _plan(
    request: Request, reader: Reader, now: Stamp, lacking: Callable[[str], object] | None = None
) -> tuple[Plan, bool]:
    """The plan, and whether it changes anything.

    A library that is missing is told to `lacking`, if it is given: in check mode an earlier task may be to install it.
    """
    plan = make_plan(request, reader.load(request.wanted()), reader.is_same_secret, now, reader.is_foreign)
    try:
        reader.check_sealing(plan)
    except MissingLibrary as missing:
        if lacking is None:
            raise
        lacking(str(missing))
    return plan, plan.changed or reader.needs_resealing()


def _carry_out(registry: Registry, request: Request, now: Stamp, tests: Tests | None) -> tuple[Plan, bool, Migration]:
    def plan_and_apply(writer: Writer) -> tuple[Plan, bool, Migration]:
        plan, changed = _plan(request, writer, now)
        if tests and tests.untested(plan):
            raise _Untested
        writer.apply(plan)
        if writer.needs_resealing():
            writer.reseal()
        return plan, changed, writer.migration()

    return registry.write(plan_and_apply)


def _report_outcome(module: Task, plan: Plan, changed: bool, migration: Migration) -> tuple[Plan, bool]:
    for warning in plan.warnings:
        module.warn(warning)
    if migration.put_off:
        module.warn(
            "These secrets were sealed by an earlier release and are not bound to where they go yet, because their key"
            " or the Python library cryptography is missing, or because they cannot be opened (then give them again):"
            f" {_some_of(migration.put_off)}"
        )
    if migration.not_rotated:
        module.warn(
            "Nothing was sealed with the first key, since these secrets are sealed with a key that is not given: add it"
            f" to registry_key or registry_key_file, or give the secrets again: {_some_of(migration.not_rotated)}"
        )
    return plan, changed


def plan_diff(plan: Plan, only: str | None = None) -> dict[str, Any]:
    """Only what differs: by connector, or the fields of one where the task is about `only` that one."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for each in plan.changes:
        old, new = each.difference
        if only:
            before.update(old)
            after.update(new)
            continue
        if each.before:
            before.setdefault("connectors", {})[each.name] = old
        if each.after:
            after.setdefault("connectors", {})[each.name] = new
    if plan.default_changed:
        before["default"], after["default"] = plan.before.default, plan.after.default
    touched = sorted({*plan.bound, *plan.unbound})
    if touched:
        before["purposes"] = {str(each): plan.before.bindings[each] for each in touched if each in plan.before.bindings}
        after["purposes"] = {str(each): plan.after.bindings[each] for each in touched if each in plan.after.bindings}
    return {"before": before, "after": after}


def _some_of(secrets: Sequence[str]) -> str:
    return "; ".join([*secrets[:MOST_NAMED], *(["and others"] if secrets[MOST_NAMED:] else [])])
