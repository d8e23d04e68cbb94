# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The mail that tests send: composed, handed over, found again and removed."""

from __future__ import annotations

import time
from typing import Any

from .._connector.redaction import Redaction
from .._message.outgoing_mail import OutgoingMail
from .._message.transport import mail_reader, mail_sender
from .._net.record import Record
from .._protocol.session import Session
from .._verdict.observation import ProbeError
from .job import Job
from .result import ProbeWarning

NO_MAILBOX = (
    "there is no mailbox to look for the mail in: set deliver_via to a connector that reads mail, or declare imap"
)
NO_SIGN_IN = "the mailbox to look for the mail in cannot be opened: its imap block does not sign in"


def compose_mail(job: Job, to: str, *, include_copies: bool = False) -> OutgoingMail:
    """The mail that a connector sends: to whom the task says, else to its test_address.

    What composes mail is imported only where mail is sent.
    """
    from datetime import datetime, timezone

    from .._message.compose import INIT_MAIL, TEST_MAIL, Request, compose, facts_of
    from .._message.draft import sending_domain
    from .._message.outgoing_mail import random_message_id

    connector = job.connector
    recipient = to or connector.test_address
    init = job.init_mail
    request = Request(
        wording=INIT_MAIL if init else TEST_MAIL,
        to=(recipient,) if recipient else (),
        facts=facts_of(connector, init.tenant if init else ""),
        message_id=init.message_id if init else random_message_id(sending_domain(connector)),
        date=datetime.now(timezone.utc),
        include_copies=include_copies,
    )
    return compose(connector, request)


class Delivery:
    """One mail, from handing it over until it is found and removed."""

    def __init__(self, mail: OutgoingMail, redact: Redaction) -> None:
        self.message: dict[str, Any] | None = None
        self.is_left = False
        self._letter = mail
        self._redact = redact
        self._accepted_at = 0.0

    def send(self, session: Session) -> None:
        accepted = mail_sender(session).send(self._letter)
        self._accepted_at = time.monotonic()
        self.message = {"message_id": self._letter.message_id, "queue_id": self._redact(accepted.queue_id) or None}

    def find(self, mailbox: Session, record: Record) -> list[ProbeWarning]:
        """Wait for the mail in an open mailbox, and remove it; that belongs to the record of the sending server."""
        message_id = self._letter.message_id
        own, mailbox.record = mailbox.record, record
        try:
            try:
                delivered = mail_reader(mailbox).find(message_id)
            except ProbeError as error:
                self.is_left = True
                raise ProbeError(error.observation.with_context(facts=mailbox.facts())) from error
            elapsed = round((time.monotonic() - self._accepted_at) * 1000)
            found = {"authentication": self._redact.value(delivered.authentication), "hops": delivered.hops}
            self.message = {**(self.message or {}), "delivered_ms": elapsed, **found}
            try:
                reason = (
                    ""
                    if mail_reader(mailbox).remove(message_id)
                    else "removing it is not permitted, or it is gone already"
                )
            except ProbeError as error:
                reason = str(error)
        finally:
            mailbox.record = own
        return [ProbeWarning("not_removed", f"the test mail is still in the mailbox: {reason}")] if reason else []
