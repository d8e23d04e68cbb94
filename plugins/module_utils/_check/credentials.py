# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a test signs in with: the token of a connector, and what was refused in this run.

A credential that was refused is not sent again, since repetition locks accounts.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Protocol, TlsTrust
from .._net.clock import Clock
from .._protocol.session import Session
from .._verdict.judge import judge
from .._verdict.observation import Observation, ProbeError, probe_error
from .job import Job

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


class Tokens:
    """Fetches a connector's token, and remembers a refusal: nobody is asked twice."""

    def __init__(self, job: Job, clock: Clock, rejected: RejectedCredentials, redact: Redaction) -> None:
        self.identity = ""
        """What tells the credentials apart that the token was asked for with."""
        self._job = job
        self._rejected = rejected
        self._clock = clock
        self._redact = redact
        self._token: Token | None = None
        self._refused: ProbeError | None = None
        self._provider = ""
        self._facts: Mapping[str, Any] = {}

    def refused(self, observation: Observation) -> Observation:
        """A server's refusal, as that of a token that was issued."""
        if self._token is None:
            return observation
        from .._auth.oauth import refused

        return refused(observation.with_context(facts=self._facts), self._token, self._provider)

    def obtain(self, protocol: Protocol) -> Token:
        if self._refused:
            raise self._refused
        try:
            self._token = self._token or self._fetched(protocol)
        except ProbeError as stopped:
            self._refused = stopped
            raise
        return self._token

    def _fetched(self, protocol: Protocol) -> Token:
        """A token; where the endpoint says how long to wait, that is waited for once.

        A user's password is not offered twice, since accounts get locked; an application is not.
        """
        try:
            return self._asked(protocol)
        except ProbeError as stopped:
            if not self._may_be_repeated(stopped.observation):
                raise
        return self._asked(protocol)

    def _may_be_repeated(self, observation: Observation) -> bool:
        """Whether to ask again, having waited; where the deadline comes before, nobody waits."""
        seconds = str(observation.facts.get("retry_after") or "")
        is_throttled = observation.kind in ("token", "token_google") and judge(observation).verdict == "token_throttled"
        is_application = not (self._job.connector.oauth2 and self._job.connector.oauth2.password)
        return bool(seconds) and is_throttled and is_application and self._clock.pause(float(seconds))

    def _asked(self, protocol: Protocol) -> Token:
        from .._auth.ways import token_source
        from .._net.https import HttpClient

        settings = self._job.connector.oauth2
        if settings is None:
            raise probe_error("internal", "there is nothing to ask for a token with")
        http = HttpClient(self._clock, self._redact, TlsTrust(ca_file=settings.ca_file), settings.proxy)
        try:
            source = token_source(settings, http, self._redact)
            self._provider, self._facts, self.identity = source.provider, source.facts(), source.identity()
            earlier = self._rejected.earlier([self.identity], protocol)
            if earlier:
                raise ProbeError(earlier)
            return source.obtain(protocol)
        except ProbeError as stopped:
            self._rejected.note([self.identity], protocol, stopped.observation)
            raise
        finally:
            http.close()
