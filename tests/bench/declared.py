# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connectors as people declare them."""

from __future__ import annotations

import hashlib
import typing as t

Entry = dict[str, t.Any]


def entries(count: int) -> list[Entry]:
    """Distinct connectors: all send, every third reads as well, every fourth has a signature."""
    return [entry(number) for number in range(count)]


def entry(number: int) -> Entry:
    """One connector."""
    team, domain = f"team{number:06}", f"unit{number % 50}.example.com"
    declared: Entry = {
        "name": f"mail_{team}",
        "display_name": f"Mail of team {number}",
        "from_address": f"{team}@{domain}",
        "from_name": f"Team {number}",
        "smtp": {
            "host": f"smtp.{domain}",
            "port": 587,
            "username": f"{team}@{domain}",
            "password": _password("smtp", number),
        },
    }
    if number % 3 == 0:
        declared["imap"] = {
            "host": f"imap.{domain}",
            "username": f"{team}@{domain}",
            "password": _password("imap", number),
            "mailbox": "Requests",
        }
    if number % 4 == 0:
        declared["signature"] = f"-- \nTeam {number}\nhttps://{domain}/"
        declared["reply_to"] = f"help@{domain}"
    return declared


def _password(block: str, number: int) -> str:
    return hashlib.sha256(f"{block} {number}".encode()).hexdigest()[:20]
