# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Credentials that were refused. They are not tried again, since lockouts are real."""

from __future__ import annotations

from .._verdict.judge import judge
from .._verdict.observed import Signal

_PASSING = ("token_endpoint", "token_throttled")


class Refusals:
    """What was refused in this run."""

    def __init__(self) -> None:
        self._signals: dict[tuple[str, str], Signal] = {}

    def earlier(self, identity: str, protocol: str = "") -> Signal | None:
        signal = self._signals.get((identity, "")) or self._signals.get((identity, protocol))
        return signal and signal.seen(text=f"{signal.text} (refused a moment ago, so not tried again)")

    def note(self, identity: str, protocol: str, signal: Signal) -> None:
        """Wrong credentials are wrong for every protocol; what is switched off may be so for one only."""
        verdict = judge(signal).verdict
        if verdict == "auth_rejected" or (verdict.startswith("token_") and verdict not in _PASSING):
            self._signals[identity, ""] = signal
        elif verdict == "auth_disabled":
            self._signals[identity, protocol] = signal
