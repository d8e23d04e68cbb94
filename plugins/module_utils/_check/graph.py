# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of a mailbox in Microsoft Graph."""

from __future__ import annotations

from .._protocol.graph import GraphSession
from .._protocol.session import Session
from .._verdict.observation import PhaseName, ProbeError
from .endpoint import EndpointCheck
from .result import ProbeWarning, reaches

SENDING = "Mail.Send"


class GraphCheck(EndpointCheck):
    """Graph: gets a token and looks at the mailbox, where it may. Only sending proves that it may send."""

    session_type = GraphSession

    def after_login(self, session: Session) -> list[ProbeWarning]:
        if not isinstance(session, GraphSession) or not self.signs_in:
            return []
        if not self.job.outbox:
            self._look_at_mailbox(session)
        if self.sends:
            return self.send(session)
        if not reaches(self.depth, "envelope"):
            return []
        claims = self.token.claims if self.token else {}
        roles = claims.get("roles")
        granted = [*(roles if isinstance(roles, list) else ()), *str(claims.get("scp", "")).split()]
        text = "graph: permission to send is not proven, because nothing was sent"
        if claims and SENDING not in granted:
            text += f"; the token does not name {SENDING}, so the permission must come from RBAC for Applications"
        return [ProbeWarning("send_unproven", text)]

    @property
    def phases(self) -> list[PhaseName]:
        phases: list[PhaseName] = ["config", "dns", "tcp", "tls"]
        return [*phases, "token", "mailbox", *self.sending_phases()] if self.signs_in else phases

    def reads_own_mail(self) -> bool:
        return reaches(self.depth, "deliver") and self.mailbox is None

    def _look_at_mailbox(self, session: GraphSession) -> None:
        """An application that may only send is refused here, which is an error only where it is to read."""
        is_to_read = self.reads_own_mail() or self.on_session_open is not None
        with session.record.phase("mailbox") as phase:
            try:
                session.get_folder()
            except ProbeError as error:
                if error.observation.code != 403 or is_to_read:
                    raise
                phase.status = "skipped"
                phase.set_reply(error.observation.code, error.observation.enhanced, f"no permission to read: {error}")
