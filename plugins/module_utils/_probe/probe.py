# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of one server, phase by phase; what differs between protocols is in smtp.py and imap.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .._errors import MissingLibrary
from .._session.endpoint import Endpoint
from .._session.session import Session
from .._signin.identity import identity
from .._verdict.judge import judge
from .._verdict.signal import Signal, Stopped, stop
from .._wire.clock import Clock
from .._wire.record import Record
from .job import Job
from .remarks import remarks
from .result import EndpointResult, Remark, reaches

_FINAL = ("auth_rejected", "auth_disabled")


@dataclass(frozen=True)
class Bounds:
    """How far to go, and within which limits."""

    depth: str = "login"
    to: str = ""
    timeout: float = 10
    deadline: float = 60
    min_days_valid: int = 14


class Refusals:
    """Credentials that were refused in this run. They are not tried again, since lockouts are real."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}

    def earlier(self, endpoint: Endpoint) -> Signal | None:
        signal = self._signals.get(_identity_of(endpoint))
        return signal and signal.seen(text=f"{signal.text} (refused a moment ago, so not tried again)")

    def note(self, endpoint: Endpoint, signal: Signal) -> None:
        if judge(signal).verdict in _FINAL:
            self._signals[_identity_of(endpoint)] = signal


class Probe(ABC):
    """The test of one server."""

    session_type: type[Session]
    hello: str
    """The phase in which the server says what it can do."""

    def __init__(self, job: Job, endpoint: Endpoint, bounds: Bounds, refusals: Refusals) -> None:
        self.job = job
        self.endpoint = endpoint
        self.bounds = bounds
        self._refusals = refusals
        self.signs_in = endpoint.auth != "none" and reaches(bounds.depth, "login")

    def run(self, clock: Clock) -> EndpointResult:
        record = Record(self.endpoint.protocol)
        session = self.session_type(self.endpoint, clock, record)
        result = EndpointResult(self.endpoint, record, session)
        try:
            session.open()
            if self.signs_in:
                self._sign_in(session)
            result.warnings += self.go_deeper(session)
            session.quit()
        except (Stopped, MissingLibrary) as stopped:
            result.signal = _signal(stopped, record).seen(facts=session.facts())
            result.skip(self.expected())
        finally:
            session.close()
        result.warnings += remarks(self.job, self.endpoint, session, self.bounds.min_days_valid)
        return result

    @abstractmethod
    def go_deeper(self, session: Session) -> list[Remark]:
        """What comes after signing in."""

    def expected(self) -> list[str]:
        """The phases of a test in which nothing fails, in order."""
        security = self.endpoint.security
        phases = ["config", "dns", "tcp", *(["tls"] if security == "tls" else []), "greeting", self.hello]
        if security == "starttls":
            phases += ["starttls", "tls", self.hello]
        return [*phases, "auth"] if self.signs_in else phases

    def _sign_in(self, session: Session) -> None:
        earlier = self._refusals.earlier(self.endpoint)
        if earlier or self.endpoint.auth == "oauth2":
            with session.record.phase("auth"):
                raise Stopped(earlier) if earlier else stop("config", "this version cannot sign in with oauth2 yet")
        try:
            session.sign_in()
        except Stopped as stopped:
            if session.has_sent_credentials:
                self._refusals.note(self.endpoint, stopped.signal)
            raise


def _identity_of(endpoint: Endpoint) -> str:
    return identity(endpoint.host, endpoint.username, endpoint.password)


def _signal(stopped: Stopped | MissingLibrary, record: Record) -> Signal:
    if isinstance(stopped, Stopped):
        return stopped.signal
    return Signal("config", phase=record.current, text=str(stopped))
