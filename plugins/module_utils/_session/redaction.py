# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Takes secrets out of what a server says."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from .._connector.secret import HIDDEN, Secret
from .._signin.saslprep import saslprep
from .._verdict.signal import Stopped

SHORTEST = 4


class Redaction:
    """Hides a sign-in's secrets, also where the server sends them back encoded."""

    def __init__(self, username: str, secret: Secret | None) -> None:
        revealed = secret.reveal() if secret else ""
        self._hidden = [form for form in _forms(username, revealed) if len(form) >= SHORTEST] if revealed else []

    def hide(self, forms: Iterable[str]) -> None:
        """Hide these as well."""
        self._hidden = sorted({*self._hidden, *forms}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._hidden:
            text = text.replace(form, HIDDEN)
        return text


def _forms(username: str, secret: str) -> list[str]:
    spellings = {secret, _prepared(secret)}
    combined = {*spellings, *(f"\0{_prepared(username)}\0{each}" for each in spellings)}
    encoded = [base64.b64encode(each.encode()).decode("ascii") for each in combined]
    quoted = {each.replace("\\", "\\\\").replace('"', '\\"') for each in spellings}
    escaped = {repr(form)[1:-1] for each in (*spellings, *quoted) for form in (each, each.encode())}
    forms = {*spellings, *quoted, *escaped, *(each.lstrip("b'") for each in escaped), *encoded}
    forms.update(each.rstrip("=") for each in encoded)
    return sorted(forms, key=len, reverse=True)


def _prepared(text: str) -> str:
    try:
        return saslprep(text, "")
    except Stopped:
        return text
