# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Takes secrets out of what a server says."""

from __future__ import annotations

import base64

from .._connector.secret import HIDDEN, Secret

SHORTEST = 4


class Redaction:
    """Hides a sign-in's secrets, also where the server sends them back encoded."""

    def __init__(self, username: str, secret: Secret | None) -> None:
        revealed = secret.reveal() if secret else ""
        self._hidden = [form for form in _forms(username, revealed) if len(form) >= SHORTEST] if revealed else []

    def __call__(self, text: str) -> str:
        for form in self._hidden:
            text = text.replace(form, HIDDEN)
        return text


def _forms(username: str, secret: str) -> list[str]:
    combined = (secret, f"\0{username}\0{secret}")
    encoded = [base64.b64encode(each.encode()).decode("ascii") for each in combined]
    return [secret, *encoded, *(each.rstrip("=") for each in encoded)]
