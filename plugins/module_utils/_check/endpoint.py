# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of one server, phase by phase; what differs between protocols is in smtp.py, imap.py and graph.py."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from .._auth.identity import identity as identity_of
from .._auth.tokens import Token
from .._connector.resolved import Endpoint, Protocol
from .._connector.secret import Secret
from .._errors import MissingLibrary, format_traceback
from .._net.record import Record
from .._protocol.session import Session
from .._verdict.observation import Observation, PhaseName, ProbeError, Refused, probe_error
from .delivery import NO_MAILBOX, NO_SIGN_IN, Delivery, compose_mail
from .interface import Check, CheckContext
from .result import Depth, EndpointResult, ProbeWarning, reaches
from .warnings import warnings_of


class EndpointCheck(Check):
    """The test of one server: connects, signs in, and goes as deep as it is asked to."""

    needs: ClassVar[Depth] = "connect"
    session_type: type[Session]

    def __init__(self, context: CheckContext, endpoint: Endpoint) -> None:
        self.context = context
        self.job = context.job
        self.endpoint = endpoint
        self.depth = context.bounds.depth
        self.signs_in = endpoint.auth != "none" and reaches(self.depth, "login")
        self.sends = endpoint == self.job.connector.sender and reaches(self.depth, "send")
        self.token: Token | None = None
        self.mailbox: Session | None = None
        """The session in which the mail that is sent is looked for, if it is open already."""
        self.on_session_open: Callable[[Session], None] | None = None
        """Called while the session is open, after everything else."""
        self._delivery: Delivery | None = None

    def run(self) -> list[EndpointResult]:
        context = self.context
        record = Record(self.endpoint.protocol)
        session = self.session_type(self.endpoint, context.clock, record, context.redact)
        result = EndpointResult(self.endpoint, record, context.redact, session)
        try:
            if self.sends and not self.job.outbox:
                self._delivery = self._compose(record)
            session.open()
            if self.signs_in:
                self._sign_in(session)
            result.warnings += self.after_login(session)
            if self.on_session_open:
                self.on_session_open(session)
            session.quit()
        except (ProbeError, MissingLibrary) as error:
            observation = _observation_of(error, record)
            if observation.kind == "internal":
                result.traceback = format_traceback(error, context.redact)
            observation = context.tokens.explain_refusal(observation) if observation.phase == "auth" else observation
            result.observation = observation.with_context(facts={**session.facts(), **observation.facts})
        except Exception as error:  # noqa: BLE001  the phases passed so far are reported
            result.observation = Observation("internal", phase=record.current, text=type(error).__name__)
            result.traceback = format_traceback(error, context.redact)
        finally:
            session.close()
        result.message = self._delivery.message if self._delivery else None
        if self._delivery and self._delivery.is_left:
            text = "the test mail was accepted, not found, and so not removed"
            result.warnings.append(ProbeWarning("not_removed", text))
        if result.observation:
            result.skip(self.phases)
        result.warnings += warnings_of(self.job, self.endpoint, session, context.bounds.min_days_valid)
        return [result]

    @property
    @abstractmethod
    def phases(self) -> list[PhaseName]:
        """Its phases, where nothing fails, in order."""

    @abstractmethod
    def after_login(self, session: Session) -> list[ProbeWarning]:
        """Test further, to the depth of the task, once signed in."""

    def reads_own_mail(self) -> bool:
        """Whether mail is sent and read in one and the same session."""
        return False

    def send(self, session: Session) -> list[ProbeWarning]:
        """Hand the mail over, and find it again where that is asked for."""
        if self.job.outbox:
            self.job.outbox.send_over(session)
        if not self._delivery:
            return []
        self._delivery.send(session)
        mailbox = session if self.reads_own_mail() else self.mailbox
        if not mailbox or not reaches(self.depth, "deliver"):
            return []
        return self._delivery.find(mailbox, session.record)

    def sending_phases(self) -> list[PhaseName]:
        if not self.sends:
            return []
        return ["message", "delivery"] if reaches(self.depth, "deliver") else ["message"]

    def mail_phases(self, hello: PhaseName) -> list[PhaseName]:
        """The phases up to the sign-in, over SMTP or IMAP; in phase `hello` the server lists its capabilities."""
        security = self.endpoint.security
        phases: list[PhaseName] = ["config", "dns", "tcp"]
        phases += ["tls", "greeting", hello] if security == "tls" else ["greeting", hello]
        if security == "starttls":
            phases += ["starttls", "tls", hello]
        if not self.signs_in:
            return phases
        return [*phases, "token", "auth"] if self.endpoint.auth == "oauth2" else [*phases, "auth"]

    def _compose(self, record: Record) -> Delivery:
        """Compose the mail before connecting, so that mistakes are found without a connection."""
        bounds = self.context.bounds
        try:
            if reaches(self.depth, "deliver") and not self.mailbox and not self.reads_own_mail():
                if (self.job.reader or self.job).connector.reader:
                    raise probe_error("config", NO_SIGN_IN, field="deliver_via" if self.job.reader else "imap.auth")
                raise probe_error("config", NO_MAILBOX, field="deliver_via")
            mail = compose_mail(self.job, bounds.to, include_copies=bounds.include_copies)
        except ProbeError:
            with record.phase("config"):
                raise
        return Delivery(mail, self.context.redact)

    def _sign_in(self, session: Session) -> None:
        """Sign in unless this credential was refused earlier in this run; one connector at a time."""
        endpoint, rejected = self.endpoint, self.context.rejected
        if endpoint.auth == "oauth2":
            with session.record.phase("token"):
                self.token = self.context.tokens.obtain(endpoint.protocol)
        # The same credentials, however the server is spelled: at its address, at its site, and in this connector.
        secret = Secret(f"{endpoint.protocol}\0{self.context.tokens.identity}") if self.token else endpoint.password
        address = session.address if not endpoint.proxy else endpoint.host
        places = (address, endpoint.host, f"connector {self.job.name}")
        identities = [identity_of(place, endpoint.username, secret) for place in places]
        where = f"{endpoint.host} port {endpoint.port}"
        with rejected.turn(identities[0], session):
            earlier = rejected.earlier(identities, endpoint.protocol)
            if earlier:
                with session.record.phase("auth"):
                    raise ProbeError(earlier)
            try:
                session.sign_in(self.token)
            except ProbeError as error:
                rejected.note(identities, endpoint.protocol, error.observation, where)
                raise
            except Exception as error:
                # With a bug of ours the credential would go out once for each connector that has it.
                refused: Refused = "everywhere" if session.has_sent_credentials else ""
                bug = Observation("internal", "auth", text=type(error).__name__, refused=refused)
                rejected.note(identities, endpoint.protocol, bug, where)
                raise


def endpoint_check(protocol: Protocol) -> type[EndpointCheck]:
    """The check of a server by its protocol, imported when it is first asked for."""
    if protocol == "smtp":
        from .smtp import SmtpCheck

        return SmtpCheck
    if protocol == "imap":
        from .imap import ImapCheck

        return ImapCheck
    from .graph import GraphCheck

    return GraphCheck


def _observation_of(error: ProbeError | MissingLibrary, record: Record) -> Observation:
    if isinstance(error, ProbeError):
        return error.observation
    facts = {"library": error.library}
    return Observation("not_ready", phase=record.current, protocol=record.protocol, text=str(error), facts=facts)
