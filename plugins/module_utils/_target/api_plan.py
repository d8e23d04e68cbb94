# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a task changes at an application: which fields, and whether the secret is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .._connector.diff import CHANGED, STORED
from .._connector.secret import Secret
from .._errors import DeclarationError, Problem
from .api_target import ApiTarget, Stored, Wanted

Action = Literal["none", "create", "update", "remove"]
SecretState = Literal["sent", "unchanged", "verified", "none"]
UpdateSecret = Literal["on_change", "always", "never"]


@dataclass(frozen=True)
class ApiPlan:
    """One change at an application."""

    action: Action
    changed: frozenset[str] = frozenset()
    """The fields that differ, the secret among them where it is sent or taken away."""
    secret: SecretState = "none"
    knows_secret: bool = True
    """Whether the application has the connector's secret afterwards, as far as that can be known."""
    difference: tuple[dict[str, Any], dict[str, Any]] = ({}, {})


def plan_write(
    target: ApiTarget,
    stored: Stored | None,
    wanted: Wanted,
    is_last_written: Callable[[Secret, Stored], bool],
    update_secret: UpdateSecret,
) -> ApiPlan:
    """Compare what is stored with what is wanted.

    `is_last_written` tells whether a secret is the one that was written last, and what is stored is what was then.
    """
    secret, name = wanted.secret, target.secret_field
    if stored is None:
        if secret and update_secret == "never":
            _refuse(f"cannot be never: there is nothing of that name in {target.title} yet, and what is made needs it")
        changed = {*wanted.fields, *([name] if secret else [])}
        difference = _difference(target, None, wanted, changed)
        return ApiPlan("create", frozenset(changed), "sent" if secret else "none", difference=difference)
    changed = stored.differing(wanted)
    state = _secret_state(target, stored, secret, is_last_written)
    moves, is_known = bool(changed & target.destination), True
    if secret and update_secret == "never":
        if moves:
            where = ", ".join(sorted(changed & target.destination))
            _refuse(
                f"cannot be never where the secret's destination changes ({where}): it is sent with every change of it"
            )
        if changed and target.readback == "resend":
            _refuse(f"cannot be never where anything changes: {target.title} needs the secret with every update")
        is_known = state != "sent"
        state = "unchanged" if state == "sent" else state
    elif secret and (moves or update_secret == "always" or (changed and target.readback == "resend")):
        state = "sent"
    drops = not secret and target.shows_whether_stored and stored.shown is not None and stored.shown.reveal() != ""
    if state == "sent" or drops:
        changed.add(name)
    difference = _difference(target, stored, wanted, changed)
    return ApiPlan("update" if changed else "none", frozenset(changed), state, is_known, difference)


def plan_removal(target: ApiTarget, stored: Stored | None) -> ApiPlan:
    if stored is None:
        return ApiPlan("none")
    before = {**stored.fields, **({target.secret_field: STORED} if stored.shown and stored.shown.reveal() else {})}
    return ApiPlan("remove", frozenset(before), difference=(before, {}))


def _secret_state(
    target: ApiTarget, stored: Stored, secret: Secret | None, is_last_written: Callable[[Secret, Stored], bool]
) -> SecretState:
    """What is known of the stored secret: that it is this one, that it was when it was written, or nothing."""
    if secret is None:
        return "none"
    shown = stored.shown or Secret("")
    if shown.reveal() == secret.reveal() and secret.reveal() not in target.masks:
        return "verified"
    if target.readback == "clear":
        return "sent"
    if _shown(target, stored) == "text":
        # Not the secret, and no mask: somebody has set another one.
        return "sent"
    return "unchanged" if is_last_written(secret, stored) else "sent"


def stored_destination_digest(target: ApiTarget, stored: Stored) -> str:
    """The SHA-256 digest of where the stored secret goes, and of whether one is shown; it needs no key."""
    fields = {name: stored.fields.get(name) for name in sorted(target.destination)}
    form = json.dumps([fields, _shown(target, stored)], sort_keys=True)
    return hashlib.sha256(form.encode("ascii")).hexdigest()


def _shown(target: ApiTarget, stored: Stored) -> Literal["nothing", "mask", "text"]:
    """What reading shows in place of the secret. What holds neither letter nor digit is a mask, too."""
    shown = stored.shown.reveal() if stored.shown else ""
    is_mask = shown in target.masks or not any(char.isalnum() for char in shown)
    return "nothing" if not shown else "mask" if is_mask else "text"


def _difference(
    target: ApiTarget, stored: Stored | None, wanted: Wanted, changed: set[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ before and after, without the secret."""
    name = target.secret_field
    before = {each: stored.fields[each] for each in sorted(changed) if stored and each in stored.fields}
    after = {each: wanted.fields[each] for each in sorted(changed) if each in wanted.fields}
    if name in changed:
        if stored and stored.shown and stored.shown.reveal():
            before[name] = STORED
        if wanted.secret:
            after[name] = CHANGED
    return before, after


def _refuse(what: str) -> None:
    raise DeclarationError([Problem("", "update_secret", what)])
