# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Compares what is wanted with what is there, and says what is to be done.

The only place that decides what "changed" means, and where the rules of the registry hold. What comes of one
declaration is found in `draft`; here it is set beside the others, the default and the purposes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .._errors import DeclarationError, Problem
from .declaration import Declaration
from .diff import difference
from .draft import Drafter, IsForeign, SameSecret
from .fields import BLOCKS
from .plan import Change, Plan, Request
from .state import Connector, Damage, Purpose, Stamp, State
from .suggest import Suggestions


def make_plan(
    request: Request,
    state: State,
    same_secret: SameSecret,
    stamp: Stamp,
    is_foreign: IsForeign = lambda _token: False,
) -> Plan:
    """Plan a request against the state it asked for, or raise what forbids it, all at once.

    `same_secret` compares a stored secret with one that is given; `is_foreign` says whether what is stored was sealed
    for something else, and so counts as not stored.
    """
    before = _renamed(state, request)
    after = _After(before, request.problems)
    drafter = Drafter(request, stamp, same_secret, is_foreign)
    for declaration in request.declarations:
        stored = _stored(request, declaration.name, state, before, after)
        source = None if stored else _source(request, declaration.name, before, after)
        if not after.has_problem(declaration.name):
            drafted = drafter.draft(declaration, stored, source)
            if drafted.connector:
                after.warnings += [
                    f"connector {drafted.connector.name}: {path}: {what}" for path, what in drafted.warnings
                ]
                _put(stored, drafted.connector, after)
            else:
                misspelt = "" if stored or source or request.copy_from else _misspelt(declaration, after)
                for problem in [("", misspelt)] if misspelt else drafted.problems:
                    after.refuse(declaration.name, *problem)
    _remove(request, before, after)
    _choose_default(request, after)
    _bind(request, after)
    if after.problems:
        raise DeclarationError(after.problems)
    return after.plan(before, stamp)


class _After:
    """The registry as it will be, and what is said on the way there."""

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

    def plan(self, before: State, stamp: Stamp) -> Plan:
        after = replace(
            before,
            connectors=self.connectors,
            damaged=self.damaged,
            default=self.default,
            bindings=self.bindings,
        )
        return Plan(tuple(self.changes), self.unchanged, before, after, tuple(self.warnings), stamp)

    def refuse(self, connector: str, path: str, message: str) -> None:
        self.problems.append(Problem(f"connector {connector}" if connector else "", path, message))

    def has_problem(self, connector: str) -> bool:
        """Whether a connector has problems of its own, so that others would only repeat them."""
        return any(problem.where == f"connector {connector}" for problem in self.problems)

    def did_you_mean(self, name: str) -> str:
        """The end of a message about a connector that does not exist."""
        return self._suggestions.did_you_mean(name)

    def candidates(self) -> list[str]:
        """The connectors that a misspelt name may stand for: those that there are or will be, with no problem."""
        gone = {change.name for change in self.changes if change.after is None}
        return sorted({*self._all_names(), *self.connectors} - gone)


def _renamed(state: State, request: Request) -> State:
    """The state in which all that belongs to a connector is found under its new name."""
    old = request.declarations[0].name if request.new_name and request.declarations else None
    if not old or old not in state.connectors:
        return state
    new = str(request.new_name)
    return replace(
        state,
        connectors={new if name == old else name: connector for name, connector in state.connectors.items()},
        default=new if state.default == old else state.default,
        bindings={purpose: new if name == old else name for purpose, name in state.bindings.items()},
    )


def _stored(request: Request, name: str, as_named: State, before: State, after: _After) -> Connector | None:
    """The stored connector that is declared, also by the name that it had before, or has since, it was renamed."""
    new_name = request.new_name
    if not new_name or new_name == name:
        return before.connectors.get(name)
    old, new = as_named.connectors.get(name), as_named.connectors.get(new_name)
    if (old or name in after.damaged) and (new or new_name in after.damaged):
        after.refuse(name, "new_name", f"connector {new_name} exists already")
    elif name in after.damaged:
        after.refuse("", "new_name", str(after.damaged[name]))
    elif not old and not new and new_name not in after.damaged:
        after.refuse(name, "new_name", f"there is no such connector to rename{after.did_you_mean(name)}")
    return old or new


def _source(request: Request, name: str, before: State, after: _After) -> Connector | None:
    """The connector that a new one is copied from."""
    source = request.copy_from
    if not source:
        return None
    if source in after.damaged:
        after.refuse(name, "copy_from", str(after.damaged[source]))
    elif source not in before.connectors:
        after.refuse(name, "copy_from", f"there is no connector {source}{after.did_you_mean(source)}")
    return before.connectors.get(source)


def _put(stored: Connector | None, wanted: Connector, after: _After) -> None:
    """Take in what a declaration makes, also in place of a connector that is damaged."""
    if stored and wanted.revision == stored.revision:
        after.unchanged += 1
        return
    damage = after.damaged.pop(wanted.name, None)
    if damage:
        after.warnings.append(
            f"connector {wanted.name}: was damaged in the registry ({damage.field} {damage.what}) and is made anew"
            " from this task alone"
        )
    after.connectors[wanted.name] = wanted
    after.changes.append(Change(stored, wanted, difference(stored, wanted), replaces=damage is not None))


def _misspelt(declaration: Declaration, after: _After) -> str:
    """Why a declaration that makes no new connector was probably meant for another one; empty if it was not."""
    only_secrets = not any(declaration.settings.values()) and declaration.secrets
    if only_secrets and any(after.candidates()):
        suggestion = after.did_you_mean(declaration.name)
        return f"there is no such connector, and only secrets are given for it{suggestion}"
    suggestion = "" if declaration.settings.keys() & BLOCKS else after.did_you_mean(declaration.name)
    return f"there is no such connector, and a new one needs smtp, imap or graph{suggestion}" if suggestion else ""


def _remove(request: Request, before: State, after: _After) -> None:
    declared = {request.new_name or declaration.name for declaration in request.declarations}
    purged = sorted({*before.connectors, *before.damaged} - declared) if request.purge else []
    for name in (*request.absent, *purged):
        damage = after.damaged.pop(name, None)
        gone = Connector(name, {}) if damage else after.connectors.pop(name, None)
        if gone:
            after.changes.append(Change(gone, None, difference(gone, None)))


def _choose_default(request: Request, after: _After) -> None:
    """At most one enabled connector is the default; one that goes leaves that to another, where there is one."""
    present = after.default
    if request.default:
        if _may_be_default(request.default, after):
            after.default = request.default
    elif present and _loses_default(present, request, after):
        others = (each for name, each in after.connectors.items() if name != present)
        if request.successor == present:
            after.refuse(present, "new_default", "must be another connector")
        elif request.successor:
            after.default = request.successor if _may_be_default(request.successor, after) else present
        elif after.others_enabled or any(each.enabled for each in others):
            advice = f"name one with {request.successor_option}"
            after.refuse(present, "", f"is the default, and other enabled connectors remain: {advice}")
        else:
            after.default = None


def _may_be_default(name: str, after: _After) -> bool:
    connector = after.connectors.get(name)
    if name in after.damaged:
        after.refuse("", "", str(after.damaged[name]))
    elif connector is None and not after.has_problem(name):
        after.refuse(name, "", f"cannot be the default: there is no such connector{after.did_you_mean(name)}")
    elif connector and not connector.enabled:
        after.refuse(name, "", "cannot be the default: it is disabled")
    return bool(connector and connector.enabled)


def _loses_default(name: str, request: Request, after: _After) -> bool:
    if request.not_default == name:
        return True
    if name in after.damaged or after.has_problem(name):
        return False
    return name not in after.connectors or not after.connectors[name].enabled


def _bind(request: Request, after: _After) -> None:
    for purpose, only_from in request.unbind.items():
        if only_from in (None, after.bindings.get(purpose)):
            after.bindings.pop(purpose, None)
    if request.purge_purposes:
        after.bindings = {purpose: name for purpose, name in after.bindings.items() if purpose in request.bind}
    after.bindings.update(request.bind)
    _check_bindings(request.bind, after)


def _check_bindings(asked: Mapping[Purpose, str], after: _After) -> None:
    """Each purpose is bound to an enabled connector that its tenant may use.

    What breaks that is told one by one for the bindings that are asked for, and by connector for others.
    """
    blocked = {problem.where for problem in after.problems}
    in_use: dict[str, list[Purpose]] = {}
    for purpose, name in after.bindings.items():
        connector = after.connectors.get(name)
        where = f"purpose {purpose}"
        if f"connector {name}" in blocked:
            continue
        if connector and not connector.available_to(purpose.tenant):
            tenants = ", ".join(connector.settings["available_to"])
            message = f"connector {name} is available to these tenants only: {tenants}"
            after.problems.append(Problem(where, "tenant", message))
        elif connector and connector.enabled:
            continue
        elif name in after.damaged:
            if purpose in asked:
                after.problems.append(Problem(where, "connector", str(after.damaged[name])))
        elif purpose in asked:
            reason = "is disabled" if connector else f"does not exist{after.did_you_mean(name)}"
            after.problems.append(Problem(where, "connector", f"connector {name} {reason}"))
        else:
            in_use.setdefault(name, []).append(purpose)
    for name, purposes in in_use.items():
        used_by = ", ".join(sorted(map(str, purposes)))
        after.refuse(name, "", f"is in use by {used_by}: bind that to another connector first")
