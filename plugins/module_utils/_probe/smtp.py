# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a server that sends."""

from __future__ import annotations

from .._session.session import Session
from .._session.smtp import SmtpSession
from .._verdict.observed import Signal, Stopped, stop
from .probe import MailProbe
from .result import Remark, reaches

FOREIGN_SENDER = "relay-test@example.org"


class SmtpProbe(MailProbe):
    """SMTP: as deep as the envelope, or with mail that is sent and found again."""

    session_type = SmtpSession
    hello = "ehlo"

    def go_deeper(self, session: Session) -> list[Remark]:
        if not isinstance(session, SmtpSession) or not reaches(self.bounds.depth, "envelope"):
            return []
        if self.sends:
            self._relay(session)
            return self.send(session)
        self._try_envelope(session)
        self._relay(session)
        return []

    def _try_envelope(self, session: SmtpSession) -> None:
        own_address = self.job.effective.get("test_address", "")
        sender, recipient = self.job.sender(), self.bounds.to or own_address
        if not sender or not recipient:
            with session.record.phase("sender"):
                missing = "from_address" if not sender else "test_address or the option to"
                text = f"{missing} is needed to test the envelope"
                raise stop("config", text, field=missing.partition(" ")[0])
        session.envelope(sender, [recipient])

    def _relay(self, session: SmtpSession) -> None:
        """Where the server is to relay for foreign senders, see whether it does: to the connector's own address."""
        recipient = self.job.effective.get("test_address", "")
        if not self.job.effective["smtp"].get("relay") or not recipient or self.job.init_mail:
            return
        try:
            session.envelope(FOREIGN_SENDER, [recipient])
        except Stopped as stopped:
            if _refuses_to_relay(stopped.signal):
                stopped.signal = stopped.signal.seen(kind="relay_refused")
            raise

    def expected(self) -> list[str]:
        phases = super().expected()
        if not reaches(self.bounds.depth, "envelope"):
            return phases
        return [*phases, "sender", "recipient", *self.sending_phases()]


def _refuses_to_relay(signal: Signal) -> bool:
    """Whether it is refused for good. Some servers refuse to relay with a code that says "later": 454 4.7.1."""
    is_for_good = (signal.code or 0) >= 500 or (signal.code, signal.enhanced) == (454, "4.7.1")
    return signal.kind == "reply" and is_for_good
