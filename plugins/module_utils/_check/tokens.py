# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The token of one connector: asked for once, whatever the number of servers that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Protocol, TlsTrust
from .._net.clock import Clock
from .._verdict.judge import judge
from .._verdict.observation import Observation, ProbeError, probe_error
from .job import Job
from .rejected_credentials import RejectedCredentials


class Tokens:
    """Fetches a connector's token, and remembers a refusal: nobody is asked twice."""

    def __init__(self, job: Job, clock: Clock, refusals: RejectedCredentials, redact: Redaction) -> None:
        self.identity = ""
        """What tells the credentials apart that the token was asked for with."""
        self._job = job
        self._refusals = refusals
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
            earlier = self._refusals.earlier([self.identity], protocol)
            if earlier:
                raise ProbeError(earlier)
            return source.obtain(protocol)
        except ProbeError as stopped:
            self._refusals.note([self.identity], protocol, stopped.observation)
            raise
        finally:
            http.close()
