# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What others say, made fit to be shown on one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a question mark for whatever cannot be printed."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
