# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Changes the registry for a task: makes a plan, tests it with `verify`, applies it, and returns a diff."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Protocol

from .._connector.plan import Plan, Request
from .._connector.planning import make_plan
from .._connector.records import ApplicationRecord
from .._connector.state import Connector, Stamp
from .._errors import DeclarationError, MailroomError, MissingLibrary, Problem, RegistryError, RegistryKeyError
from .._registry.registry import Migration, Reader, Registry
from .shared_options import open_registry, recorded_host, stamp
from .task import Task

if TYPE_CHECKING:
    # Who writes nothing need not wait for it to be compiled.
    from .._registry.writer import Writer

MAX_ATTEMPTS = 5
MAX_NAMED = 20


class ConnectorTests(Protocol):
    """The interface of tests, so that code that tests connectors is only shipped to hosts with tasks that test."""

    @property
    def skipped(self) -> Sequence[str]: ...

    def untested(self, plan: Plan) -> Sequence[Connector]: ...

    def test_cases(self, plan: Plan, reader: Reader) -> Sequence[Any]: ...

    def test(self, test_cases: Sequence[Any]) -> None: ...

    def results(self, plan: Plan) -> list[dict[str, Any]]: ...

    def record(self, plan: Plan, writer: Writer, at: str) -> None: ...


Tester = Callable[[str, bool, bool, Optional[str]], ConnectorTests]
"""Creates the tests from the depth, check mode, verbosity, and the host to record them for, None to record nothing."""


def create_tests(module: Task, tester: Tester | None) -> ConnectorTests | None:
    """The tests for the option `verify`. For these tasks the action plugin runs a module that has a tester."""
    depth, host = module.params["verify"], recorded_host(module)
    if depth == "none":
        return None
    if tester is None:
        allowed = "must be none where the module is run without its action plugin"
        raise DeclarationError([Problem("", "verify", allowed)])
    return tester(depth, module.check_mode, module.is_verbose, host if module.params["record"] else None)


class _UntestedChangeError(MailroomError):
    """The registry has changed since the tests, so the change to commit was not tested."""


class _Outcome(NamedTuple):
    plan: Plan
    changed: bool
    migration: Migration
    left_behind: Sequence[ApplicationRecord]
    """The applications that keep the settings of a connector that is deleted."""


def change_registry(module: Task, request: Request, tests: ConnectorTests | None = None) -> tuple[Plan, bool]:
    """Plan a request, test it if there are tests, and apply it except in check mode.

    Return the plan and whether anything changes.
    """
    try:
        return _plan_and_apply(module, request, tests)
    except (RegistryError, RegistryKeyError):
        if request.problems:
            raise DeclarationError(request.problems) from None
        raise


def _plan_and_apply(module: Task, request: Request, tests: ConnectorTests | None) -> tuple[Plan, bool]:
    registry = open_registry(module)
    now = stamp(module)
    planned: Plan | None = None
    for _attempt in range(MAX_ATTEMPTS):
        if module.check_mode or tests or not registry.exists() or not _is_writable(registry):
            outcome = _preview(module, registry, request, now, tests)
            writes = outcome.changed or bool(outcome.migration.due)
            if writes:
                # Also before a registry is made, which would stay where its key cannot be.
                on_missing_folder = module.warn if module.check_mode else None
                registry.check_writable(seals=outcome.plan.has_new_secrets, on_missing_folder=on_missing_folder)
            if module.check_mode or not writes:
                return _report_outcome(module, outcome)
            planned = outcome.plan
        with suppress(_UntestedChangeError):
            return _report_outcome(module, _apply(registry, request, now, tests, planned))
    raise RegistryError("These connectors were changed by others while they were tested: run the task again.")


def _is_writable(registry: Registry) -> bool:
    """Whether this user may write the registry; a task that changes nothing does not require that."""
    try:
        registry.check_writable()
    except RegistryError:
        return False
    return True


def _preview(module: Task, registry: Registry, request: Request, now: Stamp, tests: ConnectorTests | None) -> _Outcome:
    """Plan without a write transaction, and test the plan after closing the registry, so that others can write."""
    with registry.reading() as reader:
        plan, changed = _plan(request, reader, now, on_missing_library=module.warn if module.check_mode else None)
        outcome = _Outcome(plan, changed, reader.migration(), _left_behind(plan, reader))
        test_cases = tests.test_cases(plan, reader) if tests else []
    if tests:
        tests.test(test_cases)
        for reason in dict.fromkeys(tests.skipped):
            module.warn(reason)
    return outcome


def _left_behind(plan: Plan, reader: Reader) -> Sequence[ApplicationRecord]:
    deleted = [change.before.name for change in plan.changes if change.before and not change.after]
    return reader.applications(deleted) if deleted else ()


def _plan(
    request: Request,
    reader: Reader,
    now: Stamp,
    on_missing_library: Callable[[str], object] | None = None,
    planned: Plan | None = None,
) -> tuple[Plan, bool]:
    """The plan, and whether it changes anything.

    With `on_missing_library` a missing library is a warning: in check mode an earlier task may install it. `planned` is
    the plan of a preview. It still holds where nothing was stored and nothing is: keys play no part in it.
    """
    state = reader.load(request.wanted())
    if planned and planned.before == state and not state.connectors:
        plan = planned
    else:
        plan = make_plan(request, state, reader.is_same_secret, now, reader.is_foreign)
    try:
        reader.check_sealing(plan)
    except MissingLibrary as missing:
        if on_missing_library is None:
            raise
        on_missing_library(str(missing))
    return plan, plan.changed or reader.needs_resealing()


def _apply(
    registry: Registry, request: Request, now: Stamp, tests: ConnectorTests | None, planned: Plan | None
) -> _Outcome:
    def plan_and_apply(writer: Writer) -> _Outcome:
        plan, changed = _plan(request, writer, now, planned=planned)
        if tests and tests.untested(plan):
            raise _UntestedChangeError
        writer.apply(plan)
        if writer.needs_resealing():
            writer.reseal()
        if tests:
            tests.record(plan, writer, now.at)
        return _Outcome(plan, changed, writer.migration(), _left_behind(plan, writer))

    return registry.write(plan_and_apply)


def _report_outcome(module: Task, outcome: _Outcome) -> tuple[Plan, bool]:
    migration = outcome.migration
    for warning in outcome.plan.warnings:
        module.warn(warning)
    if outcome.left_behind:
        left = [f"{each.app} {each.place} on {each.host} ({each.connector})" for each in outcome.left_behind]
        module.warn(
            "These applications keep the settings of a connector that is deleted, until they are given another one:"
            f" {_join_limited(left)}"
        )
    if migration.put_off:
        module.warn(
            "These secrets were sealed by an earlier release and are not bound to their destination yet, because their"
            " key or the Python library cryptography is missing, or because they cannot be opened (then give them"
            f" again): {_join_limited(migration.put_off)}"
        )
    if migration.not_rotated:
        module.warn(
            "Nothing was sealed with the first key, since these secrets are sealed with a key that is not given: add it"
            f" to registry_key or registry_key_file, or give the secrets again: {_join_limited(migration.not_rotated)}"
        )
    return outcome.plan, outcome.changed


def plan_diff(plan: Plan, only: str | None = None) -> dict[str, Any]:
    """The differences by connector, or with `only` the fields of that connector."""
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


def _join_limited(named: Sequence[str]) -> str:
    return "; ".join([*named[:MAX_NAMED], *(["and others"] if named[MAX_NAMED:] else [])])
