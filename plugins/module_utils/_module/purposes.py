# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which connector serves the purpose that a task names."""

from __future__ import annotations

from .._connector.resolve import Resolution, candidates, resolve
from .._connector.state import Purpose, State, Wanted
from .._connector.suggest import did_you_mean
from .._registry.registry import Reader
from .task import Task


def look_up(module: Task, reader: Reader, purpose: Purpose) -> tuple[State, Resolution]:
    """What was loaded, and the connector that serves the purpose; a purpose that is probably misspelt is a warning."""
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
