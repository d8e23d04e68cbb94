# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hands mail over to an SMTP server."""

from __future__ import annotations

from .._protocol.smtp import Envelope, SmtpSession
from .letter import Letter
from .queue_ids import queue_id
from .transport import Accepted, Outgoing


class SmtpMail(Outgoing):
    """Over SMTP, in a session that is signed in where it has to be."""

    def __init__(self, session: SmtpSession) -> None:
        self._session = session

    def hand_over(self, letter: Letter) -> Accepted:
        envelope = Envelope(
            letter.sender,
            letter.recipients,
            letter.size,
            is_8bit=letter.needs_8bit,
            is_international=letter.needs_smtputf8,
        )
        text = self._session.hand_over(envelope, letter.message)
        return Accepted(queue_id(text), text)
