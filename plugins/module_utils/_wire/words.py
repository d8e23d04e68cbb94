# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a server says, made fit to be shown: printable, and not without end."""

from __future__ import annotations

LONGEST = 2000


def printable(said: bytes | str) -> str:
    """The text on one line, with a question mark for whatever cannot be printed."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "".join(char if char.isprintable() else "?" for char in text.rstrip("\r\n"))
