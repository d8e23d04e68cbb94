# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a server that sends."""

from __future__ import annotations

from .._session.session import Session
from .._session.smtp import SmtpSession
from .._verdict.judge import judge
from .._verdict.signal import Stopped, stop
from .probe import MailProbe
from .result import Remark, reaches

FOREIGN_SENDER = "relay-test@example.org"


class SmtpProbe(MailProbe):
    """SMTP: as deep as the envelope, without ever sending mail."""

    session_type = SmtpSession
    hello = "ehlo"

    def go_deeper(self, session: Session) -> list[Remark]:
        if not isinstance(session, SmtpSession) or not reaches(self.bounds.depth, "envelope"):
            return []
        own_address = self.job.effective.get("test_address", "")
        sender, recipient = self.job.sender(), self.bounds.to or own_address
        if not sender or not recipient:
            with session.record.phase("sender"):
                missing = "from_address" if not sender else "test_address or the option to"
                raise stop("config", f"{missing} is needed to test the envelope")
        session.envelope(sender, [recipient])
        if self.job.effective["smtp"].get("relay") and own_address:
            self._try_relay(session, own_address)
        return []

    def _try_relay(self, session: SmtpSession, recipient: str) -> None:
        try:
            session.envelope(FOREIGN_SENDER, [recipient])
        except Stopped as stopped:
            if stopped.signal.kind == "reply" and judge(stopped.signal).verdict != "throttled":
                stopped.signal = stopped.signal.seen(kind="relay_refused")
            raise

    def expected(self) -> list[str]:
        phases = super().expected()
        return [*phases, "sender", "recipient"] if reaches(self.bounds.depth, "envelope") else phases
