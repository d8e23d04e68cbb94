# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a test signs in with: the token of a connector, and the credentials that were refused in this run.

A credential that was refused is not sent again, since repetition locks accounts.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._auth.refusal import refused_user
from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Protocol, TlsTrust
from .._net.clock import Clock
from .._protocol.session import Session
from .._verdict.observation import Observation, ProbeError, probe_error
from .job import Job

_TURN = 0.05
_RETRY_AFTER_CODES = (429, 503)


class RejectedCredentials:
    """The credentials that were refused in this run, each by the identities under which it is known."""

    def __init__(self) -> None:
        self._observations: dict[tuple[str, str], Observation] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._turns_lock = threading.Lock()

    def earlier(self, identities: Collection[str], protocol: Protocol) -> Observation | None:
        """The refusal that forbids trying any of these over this protocol again."""
        for identity in identities:
            for reach in ("", protocol):
                if (identity, reach) in self._observations:
                    return self._observations[identity, reach]
        return None

    def note(self, identities: Collection[str], protocol: Protocol, observation: Observation, where: str = "") -> None:
        """Keep a failure that refused the credential; any other may be tried again."""
        if not observation.refused:
            return
        at = f" at {where}" if where else ""
        text = f"{observation.text} (a moment ago{at}; the same credentials are not tried again)".lstrip()
        for identity in identities:
            reach = protocol if observation.refused == "here" else ""
            self._observations.setdefault((identity, reach), observation.with_context(text=text))

    @contextmanager
    def turn(self, identity: str, session: Session) -> Iterator[None]:
        """One sign-in at a time with the same credentials at the same place, so that each knows of those before it."""
        with self._turns_lock:
            turn = self._turns.setdefault(identity, threading.Lock())
        # With an old C library a lock with a timeout waits by the wall clock, which may jump; a pause never does.
        while not turn.acquire(blocking=False):
            if not session.clock.pause(_TURN):
                with session.record.phase("auth"):
                    raise probe_error("timeout", "other sign-ins of the same user did not finish in time")
        try:
            yield
        finally:
            turn.release()


class Tokens:
    """Requests a connector's token, and remembers a refusal: it is not requested again."""

    def __init__(self, job: Job, clock: Clock, rejected: RejectedCredentials, redact: Redaction) -> None:
        self.identity = ""
        """Identifies the credentials with which the token was requested."""
        self._job = job
        self._rejected = rejected
        self._clock = clock
        self._redact = redact
        self._token: Token | None = None
        self._error: ProbeError | None = None
        self._provider = ""
        self._facts: Mapping[str, Any] = {}

    def explain_refusal(self, observation: Observation) -> Observation:
        """A server's refusal to sign in; where a token was issued, as a refusal of that token."""
        if self._token is None:
            return observation
        from .._auth.oauth import explain_token_refusal

        return explain_token_refusal(observation.with_context(facts=self._facts), self._token, self._provider)

    def obtain(self, protocol: Protocol) -> Token:
        """The token, requested once; where the endpoint is throttled and says how long to wait, once more after that.

        A user's password is not sent twice, because accounts get locked; applications do not.
        """
        if self._error:
            raise self._error
        oauth2 = self._job.connector.oauth2
        may_repeat = not (oauth2 and oauth2.password)
        while self._token is None:
            try:
                self._token = self._request(protocol)
            except ProbeError as error:  # noqa: PERF203  at most twice
                observation = error.observation
                seconds = str(observation.facts.get("retry_after") or "")
                may_repeat = may_repeat and bool(seconds) and observation.kind in ("token", "token_google")
                may_repeat = may_repeat and observation.code in _RETRY_AFTER_CODES
                # No wait where the deadline is earlier.
                if not may_repeat or not self._clock.pause(float(seconds)):
                    self._error = error
                    raise
                may_repeat = False
        return self._token

    def _request(self, protocol: Protocol) -> Token:
        from .._auth.token_sources import token_source
        from .._net.https import HttpClient

        settings = self._job.connector.oauth2
        if settings is None:
            raise probe_error("internal", "there are no oauth2 settings to request a token with")
        http = HttpClient(self._clock, self._redact, TlsTrust(ca_file=settings.ca_file), settings.proxy)
        try:
            source = token_source(settings, http, self._redact)
            self._provider, self._facts, identities = source.provider, source.facts(), source.credential_ids()
            self.identity = identities[0]
            earlier = self._rejected.earlier(identities, protocol)
            if earlier:
                raise ProbeError(earlier)
            try:
                return source.obtain(protocol)
            except ProbeError as error:
                observation = error.observation
                self._rejected.note(identities if refused_user(observation) else identities[:1], protocol, observation)
                raise
        finally:
            http.close()
