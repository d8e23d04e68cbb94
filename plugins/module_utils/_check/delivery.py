# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The mail that tests send: composed, handed over, found again and removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._connector.redaction import Redaction
from .._message.letter import Letter
from .._message.transport import Incoming, incoming, outgoing
from .._net.record import Record
from .._protocol.session import Session
from .._verdict.observation import ProbeError
from .job import Job
from .result import ProbeWarning

NO_MAILBOX = "there is no mailbox to find the mail in: name a connector that reads with deliver_via, or declare imap"


@dataclass(frozen=True)
class Mailbox:
    """A mailbox that is open, in the session of whoever reads it."""

    session: Session
    incoming: Incoming

    @contextmanager
    def noting_in(self, record: Record) -> Iterator[Incoming]:
        """What happens within belongs to the conversation in which the mail was sent."""
        own, self.session.record = self.session.record, record
        try:
            yield self.incoming
        finally:
            self.session.record = own


def open_mailbox(session: Session) -> Mailbox:
    return Mailbox(session, incoming(session))


def letter_of(job: Job, to: str, *, include_copies: bool = False) -> Letter:
    """The letter that a connector sends: to whom the task says, else to its test_address.

    What composes mail is imported only where mail is sent.
    """
    from datetime import datetime, timezone

    from .._message.compose import INIT_MAIL, TEST_MAIL, Request, compose, facts_of, sending_domain
    from .._message.letter import random_message_id

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
    """One letter, from handing it over until it is found and removed."""

    def __init__(self, letter: Letter, redact: Redaction) -> None:
        self.message: dict[str, Any] | None = None
        self.is_left = False
        self._letter = letter
        self._redact = redact
        self._accepted_at = 0.0

    def hand_over(self, session: Session) -> None:
        accepted = outgoing(session).hand_over(self._letter)
        self._accepted_at = time.monotonic()
        self.message = {"message_id": self._letter.message_id, "queue_id": self._redact(accepted.queue_id) or None}

    def find(self, mailbox: Mailbox, record: Record) -> list[ProbeWarning]:
        """Wait for the letter in a mailbox, and take it out again."""
        message_id = self._letter.message_id
        with mailbox.noting_in(record) as found_in:
            try:
                delivered = found_in.find(message_id)
            except ProbeError as stopped:
                self.is_left = True
                raise ProbeError(stopped.observation.with_context(facts=mailbox.session.facts())) from stopped
            elapsed = round((time.monotonic() - self._accepted_at) * 1000)
            found = {"authentication": self._redact.value(delivered.authentication), "hops": delivered.hops}
            self.message = {**(self.message or {}), "delivered_ms": elapsed, **found}
            try:
                reason = "" if found_in.remove(message_id) else "it may not be removed, or is gone already"
            except ProbeError as stopped:
                reason = str(stopped)
        return [ProbeWarning("not_removed", f"the test mail is still in the mailbox: {reason}")] if reason else []
