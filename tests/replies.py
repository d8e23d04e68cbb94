# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Replies of real mail servers, and the verdicts that an administrator would give them."""

from __future__ import annotations

import dataclasses

import places

FOLDER = places.ROOT / "tests" / "data" / "replies"
NAMES = ("given", "gathered", "set_aside")
COLUMNS = ("id", "protocol", "phase", "setup", "reply", "expected", "why", "source")


@dataclasses.dataclass(frozen=True)
class Reply:
    """One line of a file; the columns are explained at its top."""

    id: str
    protocol: str
    phase: str
    setup: str
    reply: str
    expected: str
    why: str
    source: str

    @property
    def lines(self) -> list[str]:
        """What the server says, line by line."""
        return self.reply.split("\\n")

    @property
    def verdicts(self) -> list[str]:
        """Those that are right."""
        return self.expected.split("|")


def table(name: str) -> list[list[str]]:
    """The lines of a file that are no comments, split into columns; the first names the columns."""
    text = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def read(name: str) -> list[Reply]:
    """The replies of a file."""
    return [Reply(*columns) for columns in table(name)[1:]]
