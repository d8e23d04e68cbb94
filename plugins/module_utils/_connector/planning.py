# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Makes the plan for a request: compares it with the state of the registry and enforces the rules of the registry.

Only this module and `draft` decide what "changed" means: `draft` for one connector, this one for all connectors, the
default and the purposes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from .._errors import DeclarationError, Problem
from .diff import difference
from .fields import BLOCKS
from .plan import Change, Plan, Request
from .state import Connector, Damage, Purpose, Stamp, State
from .suggest import Suggestions

if TYPE_CHECKING:
    from .declaration import Declaration
    from .draft import Drafter, IsForeign, SameSecret


def make_plan(
    request: Request,
    state: State,
    same_secret: SameSecret,
    stamp: Stamp,
    is_foreign: IsForeign = lambda _token: False,
) -> Plan:
    """Plan a request against the state of the registry, or raise all problems at once.

    `same_secret` compares a stored secret with a given one; `is_foreign` says whether a stored secret was sealed for
    something else, and so counts as not stored.
    """
    before = _rename_connector(state, request)
    builder = _PlanBuilder(before, request.problems)
    if request.declarations:
        # Who only binds or deletes need not wait for it to be compiled.
        from .draft import Drafter

        _draft(Drafter(request, stamp, same_secret, is_foreign), state, before, builder)
    _delete(request, before, builder)
    undecided = {problem.where for problem in builder.problems}
    _choose_default(request, builder)
    _bind(request, builder, undecided)
    if builder.problems:
        raise DeclarationError(builder.problems)
    return builder.build(before, stamp)


def _draft(drafter: Drafter, state: State, before: State, builder: _PlanBuilder) -> None:
    """Add what the declarations create or update."""
    request = drafter.request
    for declaration in request.declarations:
        stored = _find_stored(request, declaration.name, state, before, builder)
        source = None if stored else _find_source(request, declaration.name, before, builder)
        if not builder.has_problem(declaration.name):
            draft = drafter.draft(declaration, stored, source)
            if draft.connector:
                builder.warnings += [
                    f"connector {draft.connector.name}: {path}: {what}" for path, what in draft.warnings
                ]
                _add_change(stored, draft.connector, builder)
            else:
                misspelt = "" if stored or source or request.copy_from else _misspelt_name_message(declaration, builder)
                for problem in [("", misspelt)] if misspelt else draft.problems:
                    builder.add_problem(declaration.name, *problem)


class _PlanBuilder:
    """Collects the future state of the registry, the changes, warnings and problems."""

    def __init__(self, before: State, problems: Iterable[Problem]) -> None:
        self.connectors: dict[str, Connector] = dict(before.connectors)
        self.damaged: dict[str, Damage] = dict(before.damaged)
        self.default = before.default
        self.bindings: dict[Purpose, str] = dict(before.bindings)
        self.others_enabled = before.others_enabled
        self.changes: list[Change] = []
        self.unchanged = 0
        self.warnings: list[str] = []
        self.problems: list[Problem] = list(problems)
        self._all_names = before.all_names
        self._suggestions = Suggestions(self.candidates)

    def build(self, before: State, stamp: Stamp) -> Plan:
        after = replace(
            before,
            connectors=self.connectors,
            damaged=self.damaged,
            default=self.default,
            bindings=self.bindings,
        )
        return Plan(tuple(self.changes), self.unchanged, before, after, tuple(self.warnings), stamp)

    def add_problem(self, connector: str, path: str, message: str) -> None:
        self.problems.append(Problem(f"connector {connector}" if connector else "", path, message))

    def has_problem(self, connector: str) -> bool:
        """Whether a connector has problems already, so that further ones would only follow from them."""
        return any(problem.where == f"connector {connector}" for problem in self.problems)

    def did_you_mean(self, name: str) -> str:
        """The suggestion that ends a message about a connector that does not exist."""
        return self._suggestions.did_you_mean(name)

    def candidates(self) -> list[str]:
        """The names to suggest: all connectors that exist after the change."""
        gone = {change.name for change in self.changes if change.after is None}
        return sorted({*self._all_names(), *self.connectors} - gone)


def _rename_connector(state: State, request: Request) -> State:
    """The state with a connector, its default flag and its bindings under the new name."""
    old = request.declarations[0].name if request.new_name and request.declarations else None
    if not old or old not in state.connectors:
        return state
    new = str(request.new_name)
    return replace(
        state,
        connectors={new if name == old else name: connector for name, connector in state.connectors.items()},
        default=new if state.default == old else state.default,
        bindings={purpose: new if name == old else name for purpose, name in state.bindings.items()},
        all_names=lambda: {*state.all_names()} - {old},
    )


def _find_stored(
    request: Request, name: str, as_named: State, before: State, builder: _PlanBuilder
) -> Connector | None:
    """The stored connector of a declaration, under its old name or its new one if the rename was done already."""
    new_name = request.new_name
    if not new_name or new_name == name:
        return before.connectors.get(name)
    old, new = as_named.connectors.get(name), as_named.connectors.get(new_name)
    if (old or name in builder.damaged) and (new or new_name in builder.damaged):
        builder.add_problem(name, "new_name", f"connector {new_name} exists already")
    elif name in builder.damaged:
        builder.add_problem("", "new_name", str(builder.damaged[name]))
    elif not old and not new and new_name not in builder.damaged:
        builder.add_problem(name, "new_name", f"there is no such connector to rename{builder.did_you_mean(name)}")
    return old or new


def _find_source(request: Request, name: str, before: State, builder: _PlanBuilder) -> Connector | None:
    """The source of a duplicate."""
    source = request.copy_from
    if not source:
        return None
    if source in builder.damaged:
        builder.add_problem(name, "copy_from", str(builder.damaged[source]))
    elif source not in before.connectors:
        builder.add_problem(name, "copy_from", f"there is no connector {source}{builder.did_you_mean(source)}")
    return before.connectors.get(source)


def _add_change(stored: Connector | None, wanted: Connector, builder: _PlanBuilder) -> None:
    """Add the draft of a declaration to the plan; it may replace a damaged connector."""
    if stored and wanted.revision == stored.revision:
        builder.unchanged += 1
        return
    damage = builder.damaged.pop(wanted.name, None)
    if damage:
        builder.warnings.append(
            f"connector {wanted.name}: was damaged in the registry ({damage.field} {damage.what}) and is created again"
            " from this task alone"
        )
    builder.connectors[wanted.name] = wanted
    builder.changes.append(Change(stored, wanted, difference(stored, wanted), replaces=damage is not None))


def _misspelt_name_message(declaration: Declaration, builder: _PlanBuilder) -> str:
    """A message for a declaration whose name is probably misspelt; empty if it is not."""
    only_secrets = not any(declaration.settings.values()) and declaration.secrets
    if only_secrets and any(builder.candidates()):
        suggestion = builder.did_you_mean(declaration.name)
        return f"there is no such connector, and only secrets are given for it{suggestion}"
    suggestion = "" if declaration.settings.keys() & BLOCKS else builder.did_you_mean(declaration.name)
    return f"there is no such connector, and a new one needs smtp, imap or graph{suggestion}" if suggestion else ""


def _delete(request: Request, before: State, builder: _PlanBuilder) -> None:
    declared = {request.new_name or declaration.name for declaration in request.declarations}
    purged = sorted({*before.connectors, *before.damaged} - declared) if request.purge else []
    for name in (*request.absent, *purged):
        damage = builder.damaged.pop(name, None)
        gone = Connector(name, {}) if damage else builder.connectors.pop(name, None)
        if gone:
            builder.changes.append(Change(gone, None, difference(gone, None)))


def _choose_default(request: Request, builder: _PlanBuilder) -> None:
    """Choose the default: at most one, enabled; while enabled connectors remain, it needs a successor."""
    current = builder.default
    if request.default:
        if _check_can_be_default(request.default, builder):
            builder.default = request.default
    elif current and _is_default_lost(current, request, builder):
        others = (each for name, each in builder.connectors.items() if name != current)
        if request.successor == current:
            builder.add_problem(current, "new_default", "must be another connector")
        elif request.successor:
            builder.default = request.successor if _check_can_be_default(request.successor, builder) else current
        elif builder.others_enabled or any(each.enabled for each in others):
            advice = f"name one with {request.successor_option}"
            builder.add_problem(current, "", f"is the default, and other enabled connectors remain: {advice}")
        else:
            builder.default = None


def _check_can_be_default(name: str, builder: _PlanBuilder) -> bool:
    connector = builder.connectors.get(name)
    if name in builder.damaged:
        builder.add_problem("", "", str(builder.damaged[name]))
    elif connector is None and not builder.has_problem(name):
        builder.add_problem(name, "", f"cannot be the default: there is no such connector{builder.did_you_mean(name)}")
    elif connector and not connector.enabled:
        builder.add_problem(name, "", "cannot be the default: it is disabled")
    return bool(connector and connector.enabled)


def _is_default_lost(name: str, request: Request, builder: _PlanBuilder) -> bool:
    if request.not_default == name:
        return True
    if name in builder.damaged or builder.has_problem(name):
        return False
    return name not in builder.connectors or not builder.connectors[name].enabled


def _bind(request: Request, builder: _PlanBuilder, undecided: Container[str]) -> None:
    """Bind and unbind purposes. Of the connectors that are undecided for their own problems nothing is said."""
    for purpose, only_from in request.unbind.items():
        if only_from in (None, builder.bindings.get(purpose)):
            builder.bindings.pop(purpose, None)
    if request.purge_purposes:
        builder.bindings = {purpose: name for purpose, name in builder.bindings.items() if purpose in request.bind}
    builder.bindings.update(request.bind)
    _check_bindings(request.bind, builder, undecided)


def _check_bindings(requested: Mapping[Purpose, str], builder: _PlanBuilder, undecided: Container[str]) -> None:
    """Check that each purpose is bound to an enabled connector that its tenant may use.

    Requested bindings have a problem each; other bindings that break have one problem for each connector.
    """
    in_use: dict[str, list[Purpose]] = {}
    for purpose, name in builder.bindings.items():
        connector = builder.connectors.get(name)
        where = f"purpose {purpose}"
        if f"connector {name}" in undecided:
            continue
        if connector and not connector.available_to(purpose.tenant):
            tenants = ", ".join(connector.settings["available_to"])
            message = f"connector {name} is available to these tenants only: {tenants}"
            builder.problems.append(Problem(where, "tenant", message))
        elif connector and connector.enabled:
            continue
        elif name in builder.damaged:
            if purpose in requested:
                builder.problems.append(Problem(where, "connector", str(builder.damaged[name])))
        elif purpose in requested:
            reason = "is disabled" if connector else f"does not exist{builder.did_you_mean(name)}"
            builder.problems.append(Problem(where, "connector", f"connector {name} {reason}"))
        else:
            in_use.setdefault(name, []).append(purpose)
    for name, purposes in in_use.items():
        used_by = ", ".join(sorted(map(str, purposes)))
        builder.add_problem(name, "", f"is in use by {used_by}: bind these purposes to another connector first")
