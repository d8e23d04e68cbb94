# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A request for changes to the registry, and the plan that is made for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .._errors import Problem
from .secret import Secret
from .secret_destinations import destination
from .state import UNSTAMPED, Connector, Purpose, Stamp, State, Wanted, has_same_connection

if TYPE_CHECKING:
    # Who declares no connector need not wait for it to be compiled.
    from .declaration import Declaration


class Request(NamedTuple):
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
    bind: Mapping[Purpose, str] = MappingProxyType({})
    unbind: Mapping[Purpose, str | None] = MappingProxyType({})
    """Purposes to unbind, each from one connector or, with None, from whichever it is bound to."""
    purge_purposes: bool = False
    problems: tuple[Problem, ...] = ()
    """Problems of the options, reported together with those that planning finds."""

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


class Change(NamedTuple):
    """One connector that is created (no before), deleted (no after) or updated."""

    before: Connector | None
    after: Connector | None
    difference: tuple[dict[str, Any], dict[str, Any]]
    replaces: bool = False
    """Whether it replaces a damaged connector of the same name."""

    @property
    def name(self) -> str:
        return (self.before or self.after).name  # type: ignore[union-attr]


class Plan(NamedTuple):
    """The changes to the registry, and its state before and after them."""

    changes: tuple[Change, ...]
    unchanged: int
    before: State
    after: State
    warnings: tuple[str, ...]
    stamp: Stamp = UNSTAMPED
    """When and by whom it was made."""

    @property
    def changed(self) -> bool:
        return bool(self.changes) or self.default_changed or bool(self.bound or self.unbound)

    @property
    def has_new_secrets(self) -> bool:
        kept = [change.after for change in self.changes if change.after]
        return any(isinstance(secret, Secret) for connector in kept for secret in connector.secrets.values())

    @property
    def redirected(self) -> list[str]:
        """The tokens of stored secrets that are kept, but must be sealed for another destination."""
        return [
            token
            for change in self.changes
            if change.before and change.after
            for path, token in change.after.secrets.items()
            if isinstance(token, str)
            and destination(path, change.before.effective_settings)
            != destination(path, change.after.effective_settings)
        ]

    @property
    def dropped(self) -> set[str]:
        """The tokens of stored secrets that are replaced or deleted."""
        before = {token for each in self.changes if each.before for token in each.before.secrets.values()}
        after = {token for each in self.changes if each.after for token in each.after.secrets.values()}
        return {str(token) for token in before - after}

    @property
    def default_changed(self) -> bool:
        return self.before.default != self.after.default

    @property
    def bound(self) -> dict[Purpose, str]:
        before = self.before.bindings
        return {purpose: name for purpose, name in self.after.bindings.items() if before.get(purpose) != name}

    @property
    def unbound(self) -> list[Purpose]:
        return [purpose for purpose in self.before.bindings if purpose not in self.after.bindings]

    def changed_connections(self, *, sends: bool = False) -> list[Connector]:
        """The enabled connectors that are new or whose connection changes; with `sends`, sending settings too."""
        return [
            change.after
            for change in self.changes
            if change.after
            and change.after.enabled
            and not has_same_connection(change.before, change.after, sends=sends)
        ]

    @property
    def created(self) -> list[str]:
        return [change.after.name for change in self.changes if change.before is None and change.after]

    @property
    def updated(self) -> list[str]:
        return [change.after.name for change in self.changes if change.before and change.after]

    @property
    def deleted(self) -> list[str]:
        return [change.before.name for change in self.changes if change.before and change.after is None]
