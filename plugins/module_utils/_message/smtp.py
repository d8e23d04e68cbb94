# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Hands mail over to an SMTP server, and reads the queue id out of its reply."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._protocol.smtp import Envelope, SmtpSession
from .outgoing_mail import OutgoingMail
from .transport import Accepted, MailSender

# Replies with 4xx or 5xx have no queue id.
_STATUS = re.compile(
    r"(?![013-9][0-9][0-9](?:[ -]|\Z))(?:2[0-9][0-9](?:[ -]|\Z))?"
    r"(?![013-9]\.[0-9]{1,3}\.[0-9]{1,3}(?: |\Z))(?:2\.[0-9]{1,3}\.[0-9]{1,3}(?: |\Z))?(?P<text>.*)\Z",
    re.DOTALL,
)
_ID = re.compile(r"[!-~]{1,200}\Z")
_LONGEST_LINE = 2000


class Form(NamedTuple):
    """How servers word their reply; the group is the id."""

    servers: str
    pattern: re.Pattern[str]


def _form(servers: str, pattern: str) -> Form:
    return Form(servers, re.compile(pattern, re.IGNORECASE))


# The first form that fits wins: what is worded more precisely stands above.
FORMS = (
    _form("Exchange, Exchange Online", r"\[InternalId=([0-9]+)"),
    _form("Microsoft's SMTP service", r"^<([^<> ]+)> Queued mail for delivery"),
    _form("Yandex", r"\bqueued on [^ ]+ (?:as )?([^ ]+)"),
    _form("Postfix, SendGrid, Mailjet, Brevo, Postmark, Mailpit, ZoneMTA, NetEase", r"\bqueued as:? ([^ ]+)"),
    _form("Stalwart", r"\bqueued with id ([^ ]+)"),
    _form("Haraka", r"\bmessage queued \(([^() ]+)\)"),
    _form("Exim, SMTP2GO, GMX, IONOS", r"(?:^| )id=([^ ]+)"),
    _form("Gmail", r"(?:^| )([^ ]+) - gsmtp\Z"),
    _form(
        "Sendmail, OpenSMTPD, Proofpoint, CommuniGate",
        r"(?:^| )(?!(?:ok|your|the|mail)[,.:]? )([^ ]+) message accepted for delivery",
    ),
    _form("Cisco", r"\bmessage ([0-9]+) accepted"),
    _form("qmail", r"^ok [0-9]+ qp ([0-9]+)"),
    _form("Oracle, iCloud", r"\benvelope id ([^ ]+)"),
    _form("Campaign Monitor", r"^ok:([0-9a-z]{48})\Z"),
    _form("Amazon SES, SparkPost, Courier", r"^ok[.:]? (?=[^ ]*[0-9])([0-9a-z/_.@+=-]{12,})\Z"),
)


def queue_id(reply: str) -> str:
    """The id in the text of a reply, with or without its codes; nothing where none is recognised."""
    for line in re.split(r"[\r\n]+", reply):
        status = _STATUS.match(line[:_LONGEST_LINE].strip())
        if not status:
            continue
        text = status["text"].strip()
        match = next(filter(None, (form.pattern.search(text) for form in FORMS)), None)
        found = match.group(1).strip("<>").rstrip(".,;)") if match else ""
        if _ID.match(found):
            return found
    return ""


class SmtpMail(MailSender):
    """Over SMTP, in a session that is signed in where it has to be."""

    def __init__(self, session: SmtpSession) -> None:
        self._session = session

    def send(self, mail: OutgoingMail, *, partial: bool = False) -> Accepted:
        envelope = Envelope(
            mail.sender,
            mail.recipients,
            mail.size,
            is_8bit=mail.needs_8bit,
            is_international=mail.needs_smtputf8,
        )
        reply = self._session.send_message(envelope, mail.chunks(), partial=partial)
        return Accepted(queue_id(reply.text), reply.text, reply.refused)
