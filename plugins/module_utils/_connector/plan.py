# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Compares what is wanted with what is there, and says what is to be done.

The only place that decides what "changed" means, and where the rules of the registry hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Union

from .._errors import DeclarationError, Problem
from .declaration import Declaration, Settings, given_way, merged
from .diff import difference
from .effective import effective, resolve_preset
from .fields import BLOCKS, LONGEST_DISPLAY_NAME, split_path
from .secret import Secret, changed_secrets
from .secret_destinations import destination, has_use, newly_offered
from .state import SENDING_FIELDS, UNUSED_FIELDS, Connector, Damage, Purpose, Stamp, State, Wanted
from .suggest import Suggestions
from .validity import validate, warnings

SameSecret = Callable[[str, Secret], bool]
IsForeign = Callable[[str], bool]
Secrets = dict[str, Union[str, Secret]]

_COPY = " (copy)"

_WAY_OF = {
    "oauth2.client_secret": "client_secret",
    "oauth2.certificate": "certificate",
    "oauth2.service_account": "service_account",
}


@dataclass(frozen=True)
class Request:
    """What a task asks for. The default and the purposes stay as they are unless they are named."""

    declarations: tuple[Declaration, ...] = ()
    merge: bool = True
    update_password: str = "always"
    new_name: str | None = None
    copy_from: str | None = None
    absent: tuple[str, ...] = ()
    purge: bool = False
    default: str | None = None
    not_default: str | None = None
    successor: str | None = None
    successor_option: str = "new_default"
    bind: Mapping[Purpose, str] = field(default_factory=dict)
    unbind: Mapping[Purpose, str | None] = field(default_factory=dict)
    """Purposes to unbind, each from one connector or, with None, from whichever it is bound to."""
    purge_purposes: bool = False
    problems: tuple[Problem, ...] = ()
    """What is wrong already with what was written: it is told together with what the plan finds."""

    def wanted(self) -> Wanted:
        names = {declaration.name for declaration in self.declarations}
        names.update(self.absent, self.bind.values())
        names.update(
            name for name in (self.new_name, self.copy_from, self.default, self.not_default, self.successor) if name
        )
        return Wanted(
            names=None if self.purge else frozenset(names),
            purposes=None if self.purge_purposes else frozenset([*self.bind, *self.unbind]),
        )


@dataclass(frozen=True)
class Change:
    """One connector that is created (no before), deleted (no after) or updated."""

    before: Connector | None
    after: Connector | None
    difference: tuple[dict[str, Any], dict[str, Any]]
    replaces: bool = False
    """Whether this one is created in place of a damaged connector of its name."""

    @property
    def name(self) -> str:
        return (self.before or self.after).name  # type: ignore[union-attr]


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what holds afterwards."""

    changes: tuple[Change, ...]
    unchanged: int
    before: State
    after: State
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.changes) or self.default_moves or bool(self.bound or self.unbound)

    @property
    def has_new_secrets(self) -> bool:
        kept = [change.after for change in self.changes if change.after]
        return any(isinstance(secret, Secret) for connector in kept for secret in connector.secrets.values())

    @property
    def redirected(self) -> list[str]:
        """The tokens of the stored secrets that are kept and sealed for another destination from now on."""
        return [
            token
            for change in self.changes
            if change.before and change.after
            for path, token in change.after.secrets.items()
            if isinstance(token, str)
            and destination(path, change.before.resolved_settings) != destination(path, change.after.resolved_settings)
        ]

    @property
    def dropped(self) -> set[str]:
        """The tokens of the stored secrets that others replace, or that go."""
        before = {token for each in self.changes if each.before for token in each.before.secrets.values()}
        after = {token for each in self.changes if each.after for token in each.after.secrets.values()}
        return {str(token) for token in before - after}

    @property
    def default_moves(self) -> bool:
        return self.before.default != self.after.default

    @property
    def bound(self) -> dict[Purpose, str]:
        before = self.before.bindings
        return {purpose: name for purpose, name in self.after.bindings.items() if before.get(purpose) != name}

    @property
    def unbound(self) -> list[Purpose]:
        return [purpose for purpose in self.before.bindings if purpose not in self.after.bindings]

    @property
    def created(self) -> list[str]:
        return [change.after.name for change in self.changes if change.before is None and change.after]

    @property
    def updated(self) -> list[str]:
        return [change.after.name for change in self.changes if change.before and change.after]

    @property
    def deleted(self) -> list[str]:
        return [change.before.name for change in self.changes if change.before and change.after is None]


def _none_is_foreign(_token: str) -> bool:
    return False


def make_plan(
    request: Request,
    state: State,
    same_secret: SameSecret,
    stamp: Stamp,
    is_foreign: IsForeign = _none_is_foreign,
) -> Plan:
    """Plan a request against the state it asked for, or raise what forbids it, all at once.

    `same_secret` compares a stored secret with one that is given; `is_foreign` says whether what is stored was sealed
    for something else, and so counts as not stored.
    """
    planning = _Planning(request, state, same_secret, stamp, is_foreign)
    planning.declare()
    planning.remove()
    planning.choose_default()
    planning.bind()
    if planning.problems:
        raise DeclarationError(planning.problems)
    return planning.plan()


class _Planning:
    """One request being planned: the state as it will be grows in `_after`."""

    def __init__(
        self, request: Request, state: State, same_secret: SameSecret, stamp: Stamp, is_foreign: IsForeign
    ) -> None:
        self._request = request
        self._as_named = state
        self._state = _renamed(state, request)
        self._same_secret = same_secret
        self._is_foreign = is_foreign
        self._stamp = stamp
        self._after: dict[str, Connector] = dict(self._state.connectors)
        self._damaged: dict[str, Damage] = dict(self._state.damaged)
        self._default = self._state.default
        self._bindings: dict[Purpose, str] = dict(self._state.bindings)
        self._changes: list[Change] = []
        self._unchanged = 0
        self._warnings: list[str] = []
        self._suggestions = Suggestions(self._candidates)
        self.problems: list[Problem] = list(request.problems)

    def plan(self) -> Plan:
        after = replace(
            self._state,
            connectors=self._after,
            damaged=self._damaged,
            default=self._default,
            bindings=self._bindings,
        )
        return Plan(tuple(self._changes), self._unchanged, self._state, after, tuple(self._warnings))

    def declare(self) -> None:
        for declaration in self._request.declarations:
            stored = self._stored(declaration.name)
            source = self._source(declaration.name, stored)
            if f"connector {declaration.name}" not in self._blocked():
                self._declare_one(declaration, stored, source)

    def remove(self) -> None:
        declared = {self._request.new_name or declaration.name for declaration in self._request.declarations}
        known = {*self._state.connectors, *self._state.damaged}
        purged = sorted(known - declared) if self._request.purge else []
        for name in (*self._request.absent, *purged):
            damage = self._damaged.pop(name, None)
            gone = Connector(name, {}) if damage else self._after.pop(name, None)
            if gone:
                self._changes.append(Change(gone, None, difference(gone, None)))

    def choose_default(self) -> None:
        wish = self._request.default
        if wish:
            self._default = wish if self._may_be_default(wish) else self._default
        elif self._default and self._loses_default(self._default):
            self._replace_default(self._default)

    def bind(self) -> None:
        request = self._request
        for purpose, only_from in request.unbind.items():
            if only_from in (None, self._bindings.get(purpose)):
                self._bindings.pop(purpose, None)
        if request.purge_purposes:
            self._bindings = {purpose: name for purpose, name in self._bindings.items() if purpose in request.bind}
        self._bindings.update(request.bind)
        blocked = self._blocked()
        in_doubt = {each: name for each, name in self._bindings.items() if f"connector {name}" not in blocked}
        self.problems += _broken_bindings(in_doubt, self._after, self._damaged, request.bind, self._meant)

    def _blocked(self) -> frozenset[str]:
        """Connectors with problems of their own, which would only be repeated."""
        return frozenset(problem.where for problem in self.problems)

    def _stored(self, name: str) -> Connector | None:
        new_name = self._request.new_name
        if not new_name or new_name == name:
            return self._state.connectors.get(name)
        old, new = self._as_named.connectors.get(name), self._as_named.connectors.get(new_name)
        if (old or name in self._damaged) and (new or new_name in self._damaged):
            self._refuse(f"connector {name}", "new_name", f"connector {new_name} exists already")
        elif name in self._damaged:
            self._refuse("", "new_name", str(self._damaged[name]))
        elif not old and not new and new_name not in self._damaged:
            self._refuse(f"connector {name}", "new_name", f"there is no such connector to rename{self._meant(name)}")
        return old or new

    def _source(self, name: str, stored: Connector | None) -> Connector | None:
        source = self._request.copy_from
        if not source or stored:
            return None
        if source in self._damaged:
            self._refuse(f"connector {name}", "copy_from", str(self._damaged[source]))
        elif source not in self._state.connectors:
            self._refuse(f"connector {name}", "copy_from", f"there is no connector {source}{self._meant(source)}")
        return self._state.connectors.get(source)

    def _declare_one(self, declaration: Declaration, stored: Connector | None, source: Connector | None) -> None:
        name = self._request.new_name or declaration.name
        draft = _Draft(self._request, declaration, stored, source, name)
        draft.take_secrets(self._same_secret, self._is_foreign)
        found = [Problem(f"connector {declaration.name}", *finding) for finding in draft.problems()]
        if found:
            misspelt = "" if stored or source or self._request.copy_from else self._misspelt(declaration)
            self.problems += [Problem(f"connector {declaration.name}", "", misspelt)] if misspelt else found
            return
        self._warnings += [f"connector {name}: {path}: {remark}" for path, remark in draft.warnings()]
        self._settle(stored, draft.connector(self._stamp))

    def _settle(self, stored: Connector | None, wanted: Connector) -> None:
        if stored and wanted.revision == stored.revision:
            self._unchanged += 1
            return
        damage = self._damaged.pop(wanted.name, None)
        if damage:
            self._warnings.append(
                f"connector {wanted.name}: was damaged in the registry ({damage.field} {damage.what}) and is made anew"
                " from this task alone"
            )
        self._after[wanted.name] = wanted
        self._changes.append(Change(stored, wanted, difference(stored, wanted), replaces=damage is not None))

    def _may_be_default(self, name: str) -> bool:
        connector = self._after.get(name)
        where = f"connector {name}"
        if name in self._damaged:
            self._refuse("", "", str(self._damaged[name]))
        elif connector is None and where not in self._blocked():
            self._refuse(where, "", f"cannot be the default: there is no such connector{self._meant(name)}")
        elif connector and not connector.enabled:
            self._refuse(where, "", "cannot be the default: it is disabled")
        return bool(connector and connector.enabled)

    def _loses_default(self, name: str) -> bool:
        if self._request.not_default == name:
            return True
        if name in self._damaged or f"connector {name}" in self._blocked():
            return False
        return name not in self._after or not self._after[name].enabled

    def _replace_default(self, name: str) -> None:
        successor = self._request.successor
        others = self._state.others_enabled or any(
            connector.enabled for other, connector in self._after.items() if other != name
        )
        if successor == name:
            self._refuse(f"connector {name}", "new_default", "must be another connector")
        elif successor:
            self._default = successor if self._may_be_default(successor) else name
        elif others:
            advice = f"name one with {self._request.successor_option}"
            self._refuse(f"connector {name}", "", f"is the default, and other enabled connectors remain: {advice}")
        else:
            self._default = None

    def _refuse(self, where: str, path: str, message: str) -> None:
        self.problems.append(Problem(where, path, message))

    def _misspelt(self, declaration: Declaration) -> str:
        """Why a declaration that makes no new connector was probably meant for another one; empty if it was not."""
        only_secrets = not any(declaration.settings.values()) and declaration.secrets
        if only_secrets and any(self._candidates()):
            return f"there is no such connector, and only secrets are given for it{self._meant(declaration.name)}"
        meant = "" if declaration.settings.keys() & BLOCKS else self._meant(declaration.name)
        return f"there is no such connector, and a new one needs smtp, imap or graph{meant}" if meant else ""

    def _meant(self, name: str) -> str:
        """The end of a message about a connector that does not exist."""
        return self._suggestions.did_you_mean(name)

    def _candidates(self) -> Iterable[str]:
        """The connectors that a misspelt name may stand for: those that there are or will be, with no problem."""
        gone = {change.name for change in self._changes if change.after is None}
        return sorted({*self._state.all_names(), *self._after} - gone)


class _Draft:
    """One connector as its declaration wants it."""

    def __init__(
        self,
        request: Request,
        declaration: Declaration,
        stored: Connector | None,
        source: Connector | None,
        name: str,
    ) -> None:
        base = stored or (replace(source, settings=_as_copied(source.settings)) if source else Connector(name, {}))
        whole = not request.merge
        self._name = name
        self._declaration = declaration
        self._on_create = request.update_password == "on_create"
        self._stored = stored
        self._settings: Settings = merged({} if whole else base.settings, declaration)
        self._preset = resolve_preset(self._settings, base.settings, base.preset)
        self._held: Secrets = {**_without_cleared(base.secrets, declaration, whole), **declaration.secrets}
        self._effective = self._resolved()
        self._drop_unused()
        self._missing = [path for path in self._held if source and path not in declaration.secrets]
        self._moved: dict[str, list[str]] = {}
        self._foreign: list[str] = []

    def take_secrets(self, same_secret: SameSecret, is_foreign: IsForeign) -> None:
        """Keep what is stored where nothing else is given; note what is not this connector's own, and what would be
        offered to a new place."""
        stored = self._stored
        kept = [path for path in self._held if stored and path in stored.secrets]
        if not stored or not kept:
            return
        same = not self._is_rewritten() and stored.secrets.keys() == self._held.keys()
        for path in kept:
            given = self._declaration.secrets.get(path)
            moved = [] if same else newly_offered(path, stored.resolved_settings, self._effective)
            token = str(stored.secrets[path])
            if given is None:
                if is_foreign(token):
                    self._foreign.append(path)
                elif moved:
                    self._moved[path] = moved
            elif (self._on_create and not moved and not is_foreign(token)) or same_secret(token, given):
                self._held[path] = token

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from validate(self._settings, self._effective, self._held)
        for path in self._missing:
            yield path, "must be given anew: a duplicate takes no secret along"
        for path in self._foreign:
            yield path, "must be given again, since what is stored was sealed for another place or changed from outside"
        for path, moved in self._moved.items():
            yield (
                path,
                f"must be given again, since {', '.join(moved)} changes: a stored secret never goes to a new place",
            )

    def warnings(self) -> Iterator[tuple[str, str]]:
        return warnings(self._effective, self._declaration, self._held)

    def connector(self, stamp: Stamp) -> Connector:
        """The connector with its next revision, or the stored one where nothing differs."""
        stored = self._stored
        if stored is None:
            return Connector(self._name, self._settings, self._preset, self._held, 1, 1, stamp, stamp)
        if not self._is_rewritten() and not self._secrets_differ() and self._name == stored.name:
            return stored
        revision = stored.revision + 1
        return replace(
            stored,
            name=self._name,
            settings=self._settings,
            preset=self._preset,
            secrets=self._held,
            revision=revision,
            sending_revision=revision if self._sends_differently(stored) else stored.sending_revision,
            updated=stamp,
        )

    def _drop_unused(self) -> None:
        """A kept secret that nothing uses any more goes; a given one stays, to be refused."""
        unused = [
            path
            for path in self._held
            if path not in self._declaration.secrets and not has_use(path, self._effective, self._held)
        ]
        for path in unused:
            del self._held[path]
        if unused:
            self._effective = self._resolved()
            self._drop_unused()

    def _resolved(self) -> Mapping[str, Any]:
        """Every field that has a value; what the stored connector has resolved already where nothing differs."""
        stored = self._stored
        same = stored and not self._is_rewritten() and stored.secrets.keys() == self._held.keys()
        if stored and same and stored.name == self._name:
            return stored.resolved_settings
        return effective(self._settings, self._preset, self._held, self._name)

    def _is_rewritten(self) -> bool:
        stored = self._stored
        return stored is None or self._settings != stored.settings or self._preset != stored.preset

    def _secrets_differ(self) -> bool:
        return self._stored is None or bool(changed_secrets(self._stored.secrets, self._held))

    def _sends_differently(self, stored: Connector) -> bool:
        if any(_used(name, stored.resolved_settings) != _used(name, self._effective) for name in SENDING_FIELDS):
            return True
        changed = changed_secrets(stored.secrets, self._held)
        shares_imap = self._effective.get("smtp", {}).get("same_credentials", False)
        return any(not path.startswith("imap.") or (shares_imap and path == "imap.password") for path in changed)


def _used(name: str, effective: Mapping[str, Any]) -> Any:
    """A field as sending depends on it."""
    value, unused = effective.get(name), UNUSED_FIELDS.get(name, ())
    return {key: inner for key, inner in value.items() if key not in unused} if unused and value else value


def _as_copied(settings: Settings) -> Settings:
    """The settings of a source as its duplicate takes them over; it is not shown under the same name."""
    shown = settings.get("display_name")
    if shown is None:
        return settings
    return {**settings, "display_name": shown[: LONGEST_DISPLAY_NAME - len(_COPY)].rstrip() + _COPY}


def _without_cleared(secrets: Mapping[str, str | Secret], declaration: Declaration, whole: bool) -> Secrets:
    way = given_way(declaration)
    cleared = frozenset() if whole else declaration.cleared
    return {
        path: secret
        for path, secret in secrets.items()
        if path not in cleared and split_path(path)[0] not in cleared and not (way and _WAY_OF.get(path, way) != way)
    }


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


def _broken_bindings(
    bindings: Mapping[Purpose, str],
    connectors: Mapping[str, Connector],
    damaged: Mapping[str, Damage],
    asked: Mapping[Purpose, str],
    meant: Callable[[str], str],
) -> Iterator[Problem]:
    """What is wrong with the bindings as they would be: asked ones one by one, others by connector."""
    unusable: dict[str, list[Purpose]] = {}
    for purpose, name in bindings.items():
        connector = connectors.get(name)
        where = f"purpose {purpose}"
        if connector and not connector.available_to(purpose.tenant):
            tenants = ", ".join(connector.settings["available_to"])
            yield Problem(where, "tenant", f"connector {name} is available to these tenants only: {tenants}")
        elif connector and connector.enabled:
            continue
        elif name in damaged:
            if purpose in asked:
                yield Problem(where, "connector", str(damaged[name]))
        elif purpose in asked:
            told = "is disabled" if connector else f"does not exist{meant(name)}"
            yield Problem(where, "connector", f"connector {name} {told}")
        else:
            unusable.setdefault(name, []).append(purpose)
    for name, purposes in unusable.items():
        used_by = ", ".join(sorted(map(str, purposes)))
        yield Problem(f"connector {name}", "", f"is in use by {used_by}: bind that to another connector first")
