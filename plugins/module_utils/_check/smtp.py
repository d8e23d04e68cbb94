# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a server that sends."""

from __future__ import annotations

from .._protocol.session import Session
from .._protocol.smtp import SmtpSession
from .._verdict.observation import Observation, PhaseName, ProbeError, probe_error
from .endpoint import EndpointCheck
from .result import ProbeWarning, reaches

FOREIGN_SENDER = "relay-test@example.org"


class SmtpCheck(EndpointCheck):
    """SMTP: as deep as the envelope, or with mail that is sent and found again."""

    session_type = SmtpSession

    def after_login(self, session: Session) -> list[ProbeWarning]:
        if not isinstance(session, SmtpSession) or not reaches(self.depth, "envelope"):
            return []
        if self.sends:
            self._relay(session)
            return self.send(session)
        self._try_envelope(session)
        self._relay(session)
        return []

    def _try_envelope(self, session: SmtpSession) -> None:
        connector = self.job.connector
        sender, recipient = connector.envelope_sender, self.context.bounds.to or connector.test_address
        if not sender or not recipient:
            with session.record.phase("sender"):
                missing = "from_address" if not sender else "test_address or the option to"
                text = f"{missing} is needed to test the envelope"
                raise probe_error("config", text, field=missing.partition(" ")[0])
        session.envelope(sender, [recipient])

    def _relay(self, session: SmtpSession) -> None:
        """Where the server is to relay for foreign senders, see whether it does: to the connector's own address."""
        smtp, recipient = self.job.connector.smtp, self.job.connector.test_address
        if not smtp or not smtp.relay or not recipient or self.job.init_mail:
            return
        try:
            session.envelope(FOREIGN_SENDER, [recipient])
        except ProbeError as stopped:
            if _refuses_to_relay(stopped.observation):
                raise ProbeError(stopped.observation.with_context(kind="relay_refused")) from stopped
            raise

    @property
    def phases(self) -> list[PhaseName]:
        phases = self.mail_phases("ehlo")
        if not reaches(self.depth, "envelope"):
            return phases
        return [*phases, "sender", "recipient", *self.sending_phases()]


def _refuses_to_relay(observation: Observation) -> bool:
    """Whether it is refused for good. Some servers refuse to relay with a code that says "later": 454 4.7.1."""
    is_for_good = (observation.code or 0) >= 500 or (observation.code, observation.enhanced) == (454, "4.7.1")
    return observation.kind == "reply" and is_for_good
