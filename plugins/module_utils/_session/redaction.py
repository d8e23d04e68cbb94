# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Takes secrets out of what a server says."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from .._connector.secret import HIDDEN, Secret
from .._signin.saslprep import saslprep
from .._verdict.observed import Stopped

SHORTEST_PIECE = 6
LONGEST_TEXT = 16 * 1024


class Redaction:
    """Hides a sign-in's secrets, also in pieces, and where the server sends them back encoded."""

    def __init__(self, username: str, secret: Secret | None) -> None:
        self._short: set[str] = set()
        self._pieces: set[str] = set()
        if secret:
            self.hide(_forms(username, secret.reveal()))

    def hide(self, forms: Iterable[str]) -> None:
        """Hide these as well."""
        for form in forms:
            folded = form.lower()
            if len(folded) < SHORTEST_PIECE:
                self._short.add(folded)
            self._pieces.update(
                folded[start : start + SHORTEST_PIECE] for start in range(len(folded) - SHORTEST_PIECE + 1)
            )

    def __call__(self, text: str) -> str:
        text = text[:LONGEST_TEXT]
        is_hidden = [False] * len(text)
        for start, end in self._found(text.lower()):
            is_hidden[start:end] = [True] * (end - start)
        shown = [
            char if not hidden else HIDDEN if not before else ""
            for char, hidden, before in zip(text, is_hidden, [False, *is_hidden])
        ]
        return "".join(shown)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        for start in range(len(text) - SHORTEST_PIECE + 1):
            if text[start : start + SHORTEST_PIECE] in self._pieces:
                yield start, start + SHORTEST_PIECE
        for form in self._short:
            for found in re.finditer(rf"(?<!\w){re.escape(form)}(?!\w)", text):
                yield found.span()


def _forms(username: str, secret: str) -> Iterator[str]:
    """How a secret may come back; that of a user may do so together with the user's name."""
    for spelling in {secret, _prepared(secret)} - {""}:
        yield spelling
        yield quote(spelling, safe="")
        yield quote_plus(spelling)
        yield html.escape(spelling)
        yield repr(spelling.encode())[2:-1]
        yield spelling.replace("\\", "\\\\").replace('"', '\\"')
        for sent in (spelling, f"\0{_prepared(username)}\0{spelling}"):
            yield base64.b64encode(sent.encode()).decode("ascii").rstrip("=")


def _prepared(text: str) -> str:
    try:
        return saslprep(text, "")
    except Stopped:
        return text
