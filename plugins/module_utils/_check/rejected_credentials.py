# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Credentials that were refused. They are not sent again in the same run, since repetition locks accounts."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from .._connector.resolved import Protocol
from .._protocol.session import Session
from .._verdict.observation import Observation, probe_error

_TURN = 0.05


class RejectedCredentials:
    """What was refused in this run, by the identities that a credential has: one for each place that knows it."""

    def __init__(self) -> None:
        self._signals: dict[tuple[str, str], Observation] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._turns_lock = threading.Lock()

    def earlier(self, identities: Collection[str], protocol: Protocol) -> Observation | None:
        """The refusal for which none of these is to be tried over this protocol."""
        for identity in identities:
            for reach in ("", protocol):
                if (identity, reach) in self._signals:
                    return self._signals[identity, reach]
        return None

    def note(self, identities: Collection[str], protocol: Protocol, observation: Observation, where: str = "") -> None:
        """Keep a failure that refused the credential; any other may be tried again."""
        if not observation.refused:
            return
        at = f" at {where}" if where else ""
        text = f"{observation.text} (a moment ago{at}; the same credentials are not tried again)".lstrip()
        for identity in identities:
            reach = protocol if observation.refused == "here" else ""
            self._signals.setdefault((identity, reach), observation.with_context(text=text))

    @contextmanager
    def turn(self, identity: str, session: Session) -> Iterator[None]:
        """One sign-in at a time with the same credentials at the same place, so that each knows of those before it."""
        with self._turns_lock:
            turn = self._turns.setdefault(identity, threading.Lock())
        # With an old C library a lock with a timeout waits by the wall clock, which may jump; a pause never does.
        while not turn.acquire(blocking=False):
            if not session.clock.pause(_TURN):
                with session.record.phase("auth"):
                    raise probe_error("timeout", "others who sign in as the same user did not come to an end in time")
        try:
            yield
        finally:
            turn.release()
