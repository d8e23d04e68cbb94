# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads connectors by name or purpose, and their secrets, from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._connector.resolve import Resolution, candidates, resolve
from .._connector.secret import Secret
from .._connector.state import Connector, Purpose, State, Wanted
from .._connector.suggest import Suggestions, did_you_mean
from .._errors import DeclarationError, Problem
from .._registry.registry import Reader, Registry
from .task import Task


def load_connectors(registry: Registry, reader: Reader, names: Sequence[str] | None) -> State:
    """Load the connectors of these names, or all; a missing one is an error, a damaged one is not."""
    state = reader.load(Wanted(None if names is None else frozenset(names)))
    unknown = [name for name in names or () if name not in state.connectors and name not in state.damaged]
    if unknown:
        missing = "there is no such connector" + ("" if registry.exists() else ": there is no registry here yet")
        suggestions = Suggestions(state.all_names)
        raise DeclarationError(
            [Problem(f"connector {name}", "", missing + suggestions.did_you_mean(name)) for name in unknown]
        )
    return state


def resolve_purpose(module: Task, reader: Reader, purpose: Purpose) -> tuple[State, Resolution]:
    """The loaded state and the connector for a purpose; warns about a purpose that may be misspelt."""
    bindings = frozenset(candidates(purpose))
    state = reader.load(Wanted(frozenset(), bindings))
    known = [] if bindings & (state.bindings.keys() | state.lost) else reader.purpose_names()
    found = resolve(purpose, state, known)
    if found.by == "default" and purpose.name not in known:
        module.warn(
            f"purpose {purpose}: no connector is bound to it, for any tenant, so the default serves it:"
            f" {found.connector.name}{did_you_mean(purpose.name, known)}"
        )
    return state, found


def open_secrets(reader: Reader, connector: Connector, paths: Iterable[str]) -> dict[str, Secret]:
    """Open the secrets at these paths."""
    found: dict[str, Secret] = {}
    for path in paths:
        secret = connector.secrets[path]
        found[path] = secret if isinstance(secret, Secret) else reader.open_secret(secret)
    return found
