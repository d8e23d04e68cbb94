# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The token of one connector: asked for once, whatever the number of servers that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._connector.redaction import Redaction
from .._session.endpoint import proxy_of
from .._signin.tokens import Token
from .._verdict.judge import judge
from .._verdict.observed import Signal, Stopped
from .._wire.clock import Clock
from .._wire.tls import Trust
from .job import Job
from .refusals import Refusals


class Tokens:
    """Fetches a connector's token, and remembers a refusal: nobody is asked twice."""

    def __init__(self, job: Job, clock: Clock, refusals: Refusals, redact: Redaction) -> None:
        self.identity = ""
        """What tells the credentials apart that the token was asked for with."""
        self._job = job
        self._refusals = refusals
        self._clock = clock
        self._redact = redact
        self._token: Token | None = None
        self._refused: Stopped | None = None
        self._provider = ""
        self._facts: Mapping[str, Any] = {}

    def refused(self, signal: Signal) -> Signal:
        """A server's refusal, as that of a token that was issued."""
        if self._token is None:
            return signal
        from .._signin.oauth import refused

        return refused(signal.seen(facts=self._facts), self._token, self._provider)

    def obtain(self, protocol: str) -> Token:
        if self._refused:
            raise self._refused
        try:
            self._token = self._token or self._fetched(protocol)
        except Stopped as stopped:
            self._refused = stopped
            raise
        return self._token

    def _fetched(self, protocol: str) -> Token:
        """A token; where the endpoint says how long to wait, that is waited for once.

        A user's password is not offered twice, since accounts get locked; an application is not.
        """
        try:
            return self._asked(protocol)
        except Stopped as stopped:
            if not self._may_be_repeated(stopped.signal):
                raise
        return self._asked(protocol)

    def _may_be_repeated(self, signal: Signal) -> bool:
        """Whether to ask again, having waited; where the deadline comes before, nobody waits."""
        seconds = str(signal.facts.get("retry_after") or "")
        is_throttled = signal.kind in ("token", "token_google") and judge(signal).verdict == "token_throttled"
        is_application = "oauth2.password" not in self._job.secrets
        return bool(seconds) and is_throttled and is_application and self._clock.pause(float(seconds))

    def _asked(self, protocol: str) -> Token:
        from .._signin.ways import token_source
        from .._wire.https import HttpClient

        block, secrets = self._job.effective["oauth2"], self._job.secrets
        proxy = proxy_of(block, secrets.get("oauth2.proxy_password"))
        http = HttpClient(self._clock, self._redact, Trust(ca_file=block.get("ca_file", "")), proxy)
        try:
            source = token_source(block, secrets, http, self._redact)
            self._provider, self._facts, self.identity = source.provider, source.facts(), source.identity()
            earlier = self._refusals.earlier([self.identity], protocol)
            if earlier:
                raise Stopped(earlier)
            return source.obtain(protocol)
        except Stopped as stopped:
            self._refusals.note([self.identity], protocol, stopped.signal)
            raise
        finally:
            http.close()
