# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a server that is read."""

from __future__ import annotations

from .._protocol.imap import ImapSession
from .._protocol.session import Session
from .._verdict.observation import PhaseName
from .endpoint import EndpointCheck
from .result import ProbeWarning

NEARLY_FULL = 0.9


class ImapCheck(EndpointCheck):
    """IMAP: signs in and opens the mailbox for reading only."""

    session_type = ImapSession

    def after_login(self, session: Session) -> list[ProbeWarning]:
        if not isinstance(session, ImapSession) or not self.signs_in:
            return []
        session.select()
        quota = session.quota()
        if quota is None or not quota[1] or quota[0] < NEARLY_FULL * quota[1]:
            return []
        used, limit = (self.context.redact(str(each)) for each in quota)
        return [
            ProbeWarning("mailbox_full", f"imap: the mailbox uses {used} of {limit} KiB: new mail will soon be refused")
        ]

    @property
    def phases(self) -> list[PhaseName]:
        phases = self.mail_phases("capability")
        return [*phases, "select"] if self.signs_in else phases
