# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What was observed when a conversation stopped, before it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._errors import MailroomError

PERHAPS_ACCEPTED = "the message was handed over whole, and may have been accepted"


@dataclass(frozen=True)
class Signal:
    """One observation: its kind, where it was made, and the server's own words if it had any."""

    kind: str
    phase: str = ""
    protocol: str = ""
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def seen(self, **more: Any) -> Signal:
        """The same observation, with more known about it."""
        facts = {**self.facts, **more.pop("facts", {})}
        return replace(self, facts=facts, **more)


class Stopped(MailroomError):
    """A conversation cannot go on."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        super().__init__(signal.text or signal.kind)


def stop(kind: str, text: str = "", **facts: Any) -> Stopped:
    """The exception for an observation that is not a server's reply."""
    return Stopped(Signal(kind, text=text, facts=facts))
