# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Text, dates and numbers as reports show them."""

from __future__ import annotations

from datetime import datetime, timezone


def parse_time(text: str) -> datetime | None:
    """A date or time of ISO 8601, in UTC where it names no zone; none if it is neither.

    A date alone is the last day of something, such as client_secret_expires, and counts to its end.
    """
    if len(text) == len("2026-12-24"):
        text += "T23:59:59Z"
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def one_line(text: str) -> str:
    """A text on one line, without control characters: it may quote a server."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def plural(number: int, noun: str) -> str:
    """A number and a noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", "\u202f")
