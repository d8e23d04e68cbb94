# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which connectors a plan lets connect otherwise than before."""

from __future__ import annotations

from .plan import Plan
from .state import Connector

_CONNECTING = ("smtp", "imap", "graph", "oauth2")
_SENDING = ("from_address", "errors_to")


def newly_connecting(plan: Plan, *, sends: bool = False) -> list[Connector]:
    """The enabled connectors that are new, or whose settings for connecting change; for sending as well if need be."""
    return [
        change.after
        for change in plan.changes
        if change.after and change.after.enabled and not connects_alike(change.before, change.after, sends=sends)
    ]


def connects_alike(one: Connector | None, other: Connector, *, sends: bool = False) -> bool:
    """Whether both connect, and send if need be, in the same way and with the same secrets."""
    if one is None or not one.enabled or dict(one.secrets) != dict(other.secrets):
        return False
    old, new = one.effective(), other.effective()
    return all(old.get(name) == new.get(name) for name in (*_CONNECTING, *(_SENDING if sends else ())))
