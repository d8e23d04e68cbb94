# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a task changes at an application: which fields, and whether the secret is sent."""

from __future__ import annotations

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
    difference: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    @property
    def sends_secret(self) -> bool:
        return self.secret == "sent"


def plan_write(
    target: ApiTarget,
    stored: Stored | None,
    wanted: Wanted,
    is_last_written: Callable[[Secret, Secret], bool],
    update_secret: UpdateSecret,
) -> ApiPlan:
    """Compare what is stored with what is wanted.

    `is_last_written` tells whether a secret is the one that was written last, and what is shown in place of it is what
    was shown then.
    """
    secret, name = wanted.secret, target.secret_field
    if stored is None:
        if secret and update_secret == "never":
            _refuse(f"cannot be never: there is nothing of that name in {target.title} yet, and what is made needs it")
        changed = {*wanted.fields, *([name] if secret else [])}
        return ApiPlan(
            "create", frozenset(changed), "sent" if secret else "none", _difference(target, None, wanted, changed)
        )
    changed = {each for each in {*stored.fields, *wanted.fields} if stored.fields.get(each) != wanted.fields.get(each)}
    state = _secret_state(target, stored, secret, is_last_written)
    moves = bool(changed & target.destination)
    if secret and update_secret == "never":
        if moves:
            where = ", ".join(sorted(changed & target.destination))
            _refuse(
                f"cannot be never where the secret's destination changes ({where}): it is sent with every change of it"
            )
        if changed and target.readback == "resend":
            _refuse(f"cannot be never where anything changes: {target.title} needs the secret with every update")
        state = "unchanged" if state == "sent" else state
    elif secret and (moves or update_secret == "always" or (changed and target.readback == "resend")):
        state = "sent"
    drops = not secret and target.shows_whether_stored and stored.shown is not None and stored.shown.reveal() != ""
    if state == "sent" or drops:
        changed.add(name)
    return ApiPlan(
        "update" if changed else "none", frozenset(changed), state, _difference(target, stored, wanted, changed)
    )


def plan_removal(target: ApiTarget, stored: Stored | None) -> ApiPlan:
    if stored is None:
        return ApiPlan("none")
    before = {**stored.fields, **({target.secret_field: STORED} if stored.shown and stored.shown.reveal() else {})}
    return ApiPlan("remove", frozenset(before), difference=(before, {}))


def fingerprinted(secret: Secret, shown: Secret) -> Secret:
    """What the registry keeps a fingerprint of: a secret, and what the application shows in place of it."""
    return Secret(json.dumps([secret.reveal(), shown.reveal()]))


def _secret_state(
    target: ApiTarget, stored: Stored, secret: Secret | None, is_last_written: Callable[[Secret, Secret], bool]
) -> SecretState:
    """What is known of the stored secret: that it is this one, that it was when it was written, or nothing."""
    if secret is None:
        return "none"
    shown = stored.shown or Secret("")
    if shown.reveal() == secret.reveal() and secret.reveal() not in target.masks:
        return "verified"
    if target.readback == "clear":
        return "sent"
    return "unchanged" if is_last_written(secret, shown) else "sent"


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
