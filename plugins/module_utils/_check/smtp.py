# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a server that sends."""

from __future__ import annotations

from .._protocol.session import Session
from .._protocol.smtp import SmtpSession
from .._verdict.observation import PhaseName, ProbeError, probe_error
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
            self._test_relaying(session)
            return self.send(session)
        connector = self.job.connector
        sender, recipient = connector.envelope_sender, self.context.bounds.to or connector.test_address
        if not sender or not recipient:
            with session.record.phase("sender"):
                missing = "from_address" if not sender else "test_address or the option to"
                text = f"{missing} is needed to test the envelope"
                raise probe_error("config", text, field=missing.partition(" ")[0])
        session.check_envelope(sender, [recipient])
        self._test_relaying(session)
        return []

    def _test_relaying(self, session: SmtpSession) -> None:
        """With relay set, test whether the server accepts a foreign sender, to the connector's own address."""
        smtp, recipient = self.job.connector.smtp, self.job.connector.test_address
        if not smtp or not smtp.relay or not recipient or self.job.init_mail or self.job.outbox:
            return
        try:
            session.check_envelope(FOREIGN_SENDER, [recipient])
        except ProbeError as error:
            observation = error.observation
            # Some servers refuse relaying permanently with a temporary code: 454 4.7.1.
            is_for_good = (observation.code or 0) >= 500 or (observation.code, observation.enhanced) == (454, "4.7.1")
            if observation.kind == "reply" and is_for_good:
                raise ProbeError(observation.with_context(kind="relay_refused")) from error
            raise

    @property
    def phases(self) -> list[PhaseName]:
        phases = self.mail_phases("ehlo")
        if not reaches(self.depth, "envelope"):
            return phases
        return [*phases, "sender", "recipient", *self.sending_phases()]
