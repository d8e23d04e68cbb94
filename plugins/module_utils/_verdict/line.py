# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A line of the tables that say which observation stands for which verdict."""

from __future__ import annotations

from typing import NamedTuple

from .observation import Kind

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"

LOOK_FIRST = (
    "The whole message was handed over, and the server's answer is missing: look whether it has arrived before sending"
    " it again."
)


class Line(NamedTuple):
    """What follows, and what must fit for it: a kind, and patterns, of which an empty one fits everything."""

    verdict: str
    certainty: str
    kind: Kind | tuple[Kind, ...]
    phases: str = ""
    reply: str = ""
    text: str = ""
    remedy: str = ""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return (self.kind,) if isinstance(self.kind, str) else self.kind
