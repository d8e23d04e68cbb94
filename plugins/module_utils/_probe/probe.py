# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of one server, phase by phase; what differs between protocols is in smtp.py and imap.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .._connector.secret import Secret
from .._errors import MissingLibrary
from .._session.endpoint import Endpoint
from .._session.session import Session
from .._signin.identity import identity as identity_of
from .._signin.tokens import Token
from .._verdict.signal import Signal, Stopped
from .._wire.clock import Clock
from .._wire.record import Record
from .job import Job
from .refusals import Refusals
from .remarks import remarks
from .result import EndpointResult, Remark, reaches
from .tokens import Tokens


@dataclass(frozen=True)
class Bounds:
    """How far to go, and within which limits."""

    depth: str = "login"
    to: str = ""
    timeout: float = 10
    deadline: float = 60
    min_days_valid: int = 14


class Probe(ABC):
    """The test of one server."""

    session_type: type[Session]

    def __init__(self, job: Job, endpoint: Endpoint, bounds: Bounds, refusals: Refusals) -> None:
        self.job = job
        self.endpoint = endpoint
        self.bounds = bounds
        self.token: Token | None = None
        self._refusals = refusals
        self.signs_in = endpoint.auth != "none" and reaches(bounds.depth, "login")

    def run(self, clock: Clock, tokens: Tokens) -> EndpointResult:
        record = Record(self.endpoint.protocol)
        session = self.session_type(self.endpoint, clock, record)
        result = EndpointResult(self.endpoint, record, session)
        try:
            session.open()
            if self.signs_in:
                self._sign_in(session, tokens)
            result.warnings += self.go_deeper(session)
            session.quit()
        except (Stopped, MissingLibrary) as stopped:
            signal = _signal(stopped, record)
            signal = tokens.refused(signal) if signal.phase == "auth" else signal
            result.signal = signal.seen(facts={**session.facts(), **signal.facts})
        except Exception as error:  # noqa: BLE001  what was found out so far is worth being shown
            result.signal = Signal("internal", phase=record.current, text=type(error).__name__)
        finally:
            session.close()
        if result.signal:
            result.skip(self.expected())
        result.warnings += remarks(self.job, self.endpoint, session, self.bounds.min_days_valid)
        return result

    @abstractmethod
    def go_deeper(self, session: Session) -> list[Remark]:
        """What comes after signing in."""

    @abstractmethod
    def expected(self) -> list[str]:
        """The phases of a test in which nothing fails, in order."""

    def _sign_in(self, session: Session, tokens: Tokens) -> None:
        if self.endpoint.auth == "oauth2":
            with session.record.phase("token"):
                self.token = tokens.obtain(self.endpoint.protocol)
        identity = self._identity(tokens)
        earlier = self._refusals.earlier(identity, self.endpoint.protocol)
        if earlier:
            with session.record.phase("auth"):
                raise Stopped(earlier)
        try:
            session.sign_in(self.token)
        except Stopped as stopped:
            if session.has_sent_credentials:
                self._refusals.note(identity, self.endpoint.protocol, stopped.signal)
            raise

    def _identity(self, tokens: Tokens) -> str:
        endpoint = self.endpoint
        secret = Secret(tokens.identity) if self.token else endpoint.password
        return identity_of(endpoint.host, endpoint.username, secret)


class MailProbe(Probe):
    """The test of a server for SMTP or IMAP."""

    hello: str
    """The phase in which the server says what it can do."""

    def expected(self) -> list[str]:
        security = self.endpoint.security
        phases = ["config", "dns", "tcp", *(["tls"] if security == "tls" else []), "greeting", self.hello]
        if security == "starttls":
            phases += ["starttls", "tls", self.hello]
        if not self.signs_in:
            return phases
        return [*phases, *(["token"] if self.endpoint.auth == "oauth2" else []), "auth"]


def _signal(stopped: Stopped | MissingLibrary, record: Record) -> Signal:
    if isinstance(stopped, Stopped):
        return stopped.signal
    return Signal("config", phase=record.current, text=str(stopped))
