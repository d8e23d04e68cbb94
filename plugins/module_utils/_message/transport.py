# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Interfaces to hand mail over and to find it again, and what implements them for each protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from .._protocol.session import Session
from .._verdict.observation import Observation, probe_error
from .outgoing_mail import OutgoingMail

if TYPE_CHECKING:
    from .._protocol.graph import GraphSession
    from .._protocol.imap import ImapSession
    from .._protocol.smtp import SmtpSession


@dataclass(frozen=True)
class Accepted:
    """The reply to an accepted message. Accepted does not mean delivered."""

    queue_id: str = ""
    text: str = ""
    refused: Mapping[str, Observation] = field(default_factory=dict)
    """The recipients that were refused while others were not."""
    lost: tuple[str, ...] = ()
    """What the service does not carry of the mail."""


@dataclass(frozen=True)
class Delivered:
    """A message found in a mailbox, with what its headers say of the delivery."""

    authentication: Mapping[str, str] = field(default_factory=dict)
    """The results of spf, dkim and dmarc, where the receiving server records them."""

    hops: int = 0


class MailSender(ABC):
    """Hands mails over, in a session that is signed in."""

    @abstractmethod
    def send(self, mail: OutgoingMail, *, partial: bool = False) -> Accepted:
        """One attempt. A recipient that is refused stops it, and is named, before anything is sent.

        With `partial` the others get the mail, where there are any.
        """


class MailReader(ABC):
    """Looks into a mailbox, in a session that is signed in."""

    @abstractmethod
    def find(self, message_id: str) -> Delivered:
        """Wait for the very message until the clock's deadline; where it does not come, stop."""

    @abstractmethod
    def remove(self, message_id: str) -> int:
        """Remove that message and nothing else; how many were removed."""


def mail_sender(session: Session) -> MailSender:
    """Hands mail over in this session; what only one protocol needs is imported only for it."""
    protocol = session.endpoint.protocol
    if protocol == "smtp":
        from .smtp import SmtpMail

        return SmtpMail(cast("SmtpSession", session))
    if protocol == "graph":
        from .graph import GraphMail

        return GraphMail(cast("GraphSession", session))
    raise probe_error("internal", f"nothing is sent over {protocol}")


def mail_reader(session: Session) -> MailReader:
    """Finds mail in this session; what only one protocol needs is imported only for it."""
    protocol = session.endpoint.protocol
    if protocol == "imap":
        from .imap import ImapMail

        return ImapMail(cast("ImapSession", session))
    if protocol == "graph":
        from .graph import GraphMail

        return GraphMail(cast("GraphSession", session))
    raise probe_error("internal", f"nothing is read over {protocol}")
