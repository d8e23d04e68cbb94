# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which connectors a plan lets connect otherwise than before."""

from __future__ import annotations

import json

from .plan import Plan
from .secret import changed_secrets
from .state import CONNECTING_FIELDS, SENDING_FIELDS, Connector


def newly_connecting(plan: Plan, *, sends: bool = False) -> list[Connector]:
    """The enabled connectors that are new, or whose settings for connecting change; for sending as well if need be."""
    return [
        change.after
        for change in plan.changes
        if change.after and change.after.enabled and not connects_alike(change.before, change.after, sends=sends)
    ]


def connects_alike(one: Connector | None, other: Connector, *, sends: bool = False) -> bool:
    """Whether both connect, and send if need be, in the same way and with the same secrets."""
    if one is None or not one.enabled or changed_secrets(one.secrets, other.secrets):
        return False
    fields = (*CONNECTING_FIELDS, *(SENDING_FIELDS if sends else ()))
    return all(one.resolved_settings.get(name) == other.resolved_settings.get(name) for name in fields)


def sending_fingerprint(connector: Connector) -> str:
    """What a mail proves: the settings that sending depends on, and how often they have changed."""
    settings = {name: connector.resolved_settings.get(name) for name in SENDING_FIELDS}
    return json.dumps([connector.sending_revision, settings], sort_keys=True)
