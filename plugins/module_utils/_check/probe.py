# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of one server, phase by phase; what differs between protocols is in smtp.py and imap.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from .._auth.identity import identity as identity_of
from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint
from .._connector.secret import Secret
from .._errors import MissingLibrary, traceback_of
from .._net.clock import Clock
from .._net.record import Record
from .._protocol.session import Session
from .._verdict.observation import Observation, PhaseName, ProbeError, Refused, probe_error
from .job import Job
from .mail import NO_MAILBOX, Mailbox, Sending, letter_of, open_mailbox
from .rejected_credentials import RejectedCredentials
from .result import EndpointResult, ProbeWarning, reaches
from .tokens import Tokens
from .warnings import remarks

DEEPEST_IN_CHECK_MODE = "envelope"
"""What sends is beyond it. It holds for whatever tests: connector_test, verify, init_mail, and the roles."""


@dataclass(frozen=True)
class Bounds:
    """How far to go, and within which limits."""

    depth: str = "login"
    to: str = ""
    include_copies: bool = False
    """Whether what is sent goes to the connector's cc and bcc too."""
    timeout: float = 10
    deadline: float = 60
    min_days_valid: int = 14
    alternatives: bool = False
    """Whether the other usual ports of a host are tried where no encrypted connection comes about."""
    remarks: tuple[ProbeWarning, ...] = ()

    def in_check_mode(self) -> Bounds:
        """The same, but so that nothing is sent, with a remark where that is not what was asked for."""
        if reaches(DEEPEST_IN_CHECK_MODE, self.depth):
            return self
        deepest = DEEPEST_IN_CHECK_MODE
        text = f"in check mode the test ends with {deepest}: nothing was sent, and {self.depth} is not tested"
        return replace(self, depth=deepest, remarks=(*self.remarks, ProbeWarning("check_mode", text)))


class Probe(ABC):
    """The test of one server."""

    session_type: type[Session]

    def __init__(
        self, job: Job, endpoint: Endpoint, bounds: Bounds, refusals: RejectedCredentials, redact: Redaction
    ) -> None:
        self.job = job
        self.endpoint = endpoint
        self.bounds = bounds
        self.token: Token | None = None
        self.mailbox: Mailbox | None = None
        """Where the mail is looked for that is sent, if it is open already."""
        self.on_session_open: Callable[[Session], None] | None = None
        """What is to be done while the session is open."""
        self.sends = endpoint is not None and endpoint == job.connector.sender and reaches(bounds.depth, "send")
        self._sending: Sending | None = None
        self._refusals = refusals
        self._redact = redact
        self.signs_in = endpoint.auth != "none" and reaches(bounds.depth, "login")

    def run(self, clock: Clock, tokens: Tokens) -> EndpointResult:
        record = Record(self.endpoint.protocol)
        session = self.session_type(self.endpoint, clock, record, self._redact)
        result = EndpointResult(self.endpoint, record, self._redact, session)
        try:
            self._compose(record)
            session.open()
            if self.signs_in:
                self._sign_in(session, tokens)
            result.warnings += self.after_login(session)
            if self.on_session_open:
                self.on_session_open(session)
            session.quit()
        except (ProbeError, MissingLibrary) as stopped:
            observation = _observation(stopped, record)
            if observation.kind == "internal":
                result.traceback = self._traceback(stopped)
            observation = tokens.refused(observation) if observation.phase == "auth" else observation
            result.observation = observation.with_context(facts={**session.facts(), **observation.facts})
        except Exception as error:  # noqa: BLE001  what was found out so far is worth being shown
            result.observation = Observation("internal", phase=record.current, text=type(error).__name__)
            result.traceback = self._traceback(error)
        finally:
            session.close()
        result.message = self._sending.message if self._sending else None
        if self._sending and self._sending.is_left:
            result.warnings.append(
                ProbeWarning("not_removed", "the test mail was accepted, not found, and so not removed")
            )
        if result.observation:
            result.skip(self.expected())
        result.warnings += remarks(self.job, self.endpoint, session, self.bounds.min_days_valid)
        return result

    @abstractmethod
    def after_login(self, session: Session) -> list[ProbeWarning]:
        """What comes after signing in."""

    @abstractmethod
    def expected(self) -> list[PhaseName]:
        """The phases of a test in which nothing fails, in order."""

    def reads_own_mail(self) -> bool:
        """Whether mail is sent and read in one and the same session."""
        return False

    def send(self, session: Session) -> list[ProbeWarning]:
        """Hand the mail over, and find it again where that is asked for."""
        if not self._sending:
            return []
        self._sending.hand_over(session)
        mailbox = open_mailbox(session) if self.reads_own_mail() else self.mailbox
        if not mailbox or not reaches(self.bounds.depth, "deliver"):
            return []
        return self._sending.find(mailbox, session.record)

    def sending_phases(self) -> list[PhaseName]:
        if not self.sends:
            return []
        return ["message", "delivery"] if reaches(self.bounds.depth, "deliver") else ["message"]

    def _traceback(self, bug: Exception) -> list[str]:
        return traceback_of(bug, self._redact)

    def _compose(self, record: Record) -> None:
        """Write the mail before anybody is asked anything: what cannot be sent or found is not tried."""
        if not self.sends:
            return
        try:
            if reaches(self.bounds.depth, "deliver") and not self.mailbox and not self.reads_own_mail():
                raise probe_error("config", NO_MAILBOX, field="deliver_via")
            letter = letter_of(self.job, self.bounds.to, include_copies=self.bounds.include_copies)
            self._sending = Sending(letter, self._redact)
        except ProbeError:
            with record.phase("config"):
                raise

    def _sign_in(self, session: Session, tokens: Tokens) -> None:
        if self.endpoint.auth == "oauth2":
            with session.record.phase("token"):
                self.token = tokens.obtain(self.endpoint.protocol)
        identities = self._identities(session, tokens)
        protocol, where = self.endpoint.protocol, f"{self.endpoint.host} port {self.endpoint.port}"
        with self._refusals.turn(identities[0], session):
            earlier = self._refusals.earlier(identities, protocol)
            if earlier:
                with session.record.phase("auth"):
                    raise ProbeError(earlier)
            try:
                session.sign_in(self.token)
            except ProbeError as stopped:
                self._refusals.note(identities, protocol, stopped.observation, where)
                raise
            except Exception as error:
                # With a bug of ours the credential would go out once for each connector that has it.
                refused: Refused = "everywhere" if session.has_sent_credentials else ""
                bug = Observation("internal", "auth", text=type(error).__name__, refused=refused)
                self._refusals.note(identities, protocol, bug, where)
                raise

    def _identities(self, session: Session, tokens: Tokens) -> list[str]:
        """The same credentials, however the server is spelled: at its address, at its site, and in this connector."""
        endpoint = self.endpoint
        secret = Secret(f"{endpoint.protocol}\0{tokens.identity}") if self.token else endpoint.password
        address = session.address if not endpoint.proxy else endpoint.host
        places = (address, endpoint.host, f"connector {self.job.name}")
        return [identity_of(place, endpoint.username, secret) for place in places]


class MailProbe(Probe):
    """The test of a server for SMTP or IMAP."""

    hello: PhaseName
    """The phase in which the server says what it can do."""

    def expected(self) -> list[PhaseName]:
        security = self.endpoint.security
        phases: list[PhaseName] = ["config", "dns", "tcp"]
        phases += ["tls", "greeting", self.hello] if security == "tls" else ["greeting", self.hello]
        if security == "starttls":
            phases += ["starttls", "tls", self.hello]
        if not self.signs_in:
            return phases
        return [*phases, "token", "auth"] if self.endpoint.auth == "oauth2" else [*phases, "auth"]


def _observation(stopped: ProbeError | MissingLibrary, record: Record) -> Observation:
    if isinstance(stopped, ProbeError):
        return stopped.observation
    facts = {"library": stopped.library}
    return Observation("not_ready", phase=record.current, protocol=record.protocol, text=str(stopped), facts=facts)
