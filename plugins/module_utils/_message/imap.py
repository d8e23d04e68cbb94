# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Finds mail in a mailbox over IMAP."""

from __future__ import annotations

from .._net.clock import Clock
from .._protocol.imap import ImapSession
from .._verdict.observation import ProbeError, probe_error
from .received_headers import parse_header_text
from .transport import Delivered, MailReader

LISTEN = 5.0
PAUSE = 1.0


class ImapMail(MailReader):
    """Over IMAP, in a session that is signed in."""

    def __init__(self, session: ImapSession) -> None:
        self._session = session

    def find(self, message_id: str) -> Delivered:
        session = self._session
        is_open = session.has_selected
        if not is_open:
            session.select()
        with session.record.phase("delivery"):
            if is_open:
                session.refresh_mailbox()
            return parse_header_text(self._wait_for(message_id))

    def remove(self, message_id: str) -> int:
        """Remove this message only; raise "not_removed" with the reason where it is still there afterwards."""
        session = self._session
        session.select_for_removal()
        found = session.find_headers(message_id)
        if not found:
            return 0
        session.remove(list(found))
        left = session.find_headers(message_id).keys() & found.keys()
        if left:
            raise probe_error("not_removed", "the server accepted the removal but did not remove the message")
        return len(found)

    def _wait_for(self, message_id: str) -> str:
        """Wait for the message and return its header."""
        session, has_looked = self._session, False
        try:
            while True:
                headers = session.find_headers(message_id)
                if headers:
                    return next(iter(headers.values()))
                has_looked = True
                if not session.wait_for_new_mail(LISTEN, PAUSE):
                    break
        except ProbeError as error:
            if not (has_looked and error.observation.kind == "timeout" and _is_over(session.clock)):
                raise
        mailbox = session.endpoint.mailbox
        raise probe_error("not_delivered", f"the message did not arrive in {mailbox} in time", mailbox=mailbox)


def _is_over(clock: Clock) -> bool:
    """Whether there is no time for another step."""
    clock.start_step()
    try:
        return clock.step_remaining() <= 0
    except ProbeError:
        return True
