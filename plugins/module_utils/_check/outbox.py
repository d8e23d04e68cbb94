# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The mails of a task, each of which is tried once, over one connection as long as it lasts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._message.outgoing_mail import OutgoingMail
from .._message.transport import Accepted, mail_sender
from .._protocol.session import Session
from .._verdict.observation import Observation, ProbeError
from .interface import Bounds
from .job import Job
from .result import Result
from .runner import run

_ENDS_SESSION = frozenset(("timeout", "reset", "closed", "protocol", "exhausted", "tls"))
_SERVICE_CLOSING = 421


@dataclass
class Attempt:
    """A mail, and what came of it: it was accepted, for some recipients at least, or it was not."""

    mail: OutgoingMail
    accepted: Accepted | None = None
    observation: Observation | None = None
    was_tried: bool = False

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the answer was lost, so that the mail may have been accepted."""
        observation = self.observation
        is_bug = observation is not None and observation.kind == "internal"
        return self.was_tried and bool(observation and (is_bug or observation.facts.get("perhaps_accepted")))


class Outbox:
    """The mails of a task, in their order."""

    def __init__(self, mails: Sequence[OutgoingMail]) -> None:
        self.attempts = [Attempt(mail) for mail in mails]
        self._answered = 0

    @property
    def waiting(self) -> list[Attempt]:
        """The mails that were not tried yet."""
        return [attempt for attempt in self.attempts if not attempt.was_tried]

    def send(self, job: Job, bounds: Bounds) -> Result:
        """Send all, over a further connection where the server ends one that it has answered mails over.

        Where that is not possible, the mails that were not tried have the reason, too. The last result is returned.
        """
        end = time.monotonic() + bounds.deadline
        while True:
            answered = self._answered
            (result,) = run([replace(job, outbox=self)], bounds, 1)
            waiting, observation = self.waiting, result.first_observation()
            bounds = replace(bounds, deadline=end - time.monotonic())
            if not waiting or not observation or self._answered == answered or bounds.deadline <= 0:
                break
        for attempt in self.attempts:
            if not attempt.accepted and (not attempt.was_tried or not attempt.observation):
                attempt.observation = observation
        return result

    def send_over(self, session: Session) -> None:
        """Send what is waiting; raises the error that ends the session.

        A server may take no more mails over a connection: what it ends with the first word of a mail was not tried.
        """
        sender, is_first = mail_sender(session), True
        for attempt in self.waiting:
            try:
                attempt.was_tried = True
                accepted = sender.send(attempt.mail, partial=True)
                attempt.accepted = replace(accepted, queue_id=session.redact(accepted.queue_id))
                attempt.observation = None
            except ProbeError as error:
                observation = error.observation
                attempt.observation = observation.with_context(facts={**session.facts(), **observation.facts})
                if _has_ended(session, observation):
                    attempt.was_tried = is_first or observation.phase != "sender"
                    self._answered += observation.kind == "config"  # a file; it says nothing of the server
                    raise
            self._answered += 1
            is_first = False


def _has_ended(session: Session, observation: Observation) -> bool:
    is_lost = session.endpoint.protocol == "smtp" and not (session.connection and session.connection.is_open)
    return is_lost or observation.kind in _ENDS_SESSION or observation.code == _SERVICE_CLOSING
