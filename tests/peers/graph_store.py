# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the mail of the Graph stand-in is: drafts and sent items in memory, the inbox in Dovecot if there is one."""

from __future__ import annotations

import dataclasses
import smtplib
import threading
import uuid
from collections.abc import Iterable
from email.message import EmailMessage

from peers import graph_mail
from peers.mail import MailServer

FOLDERS = {"inbox": "Inbox", "drafts": "Drafts", "sentitems": "Sent Items", "deleteditems": "Deleted Items"}
SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Item:
    """A message in a folder."""

    id: str
    folder: str
    message: EmailMessage


class Store:
    """The mailboxes by address; without a mail server, mail to one of them is put there at once."""

    def __init__(self, addresses: Iterable[str], mail_server: MailServer | None) -> None:
        self._mail_server = mail_server
        self._items: dict[str, dict[str, Item]] = {address: {} for address in addresses}
        self._lock = threading.Lock()

    def __contains__(self, mailbox: str) -> bool:
        return mailbox in self._items

    def items(self, mailbox: str, folder: str | None = None) -> list[Item]:
        """What is in a mailbox, or in one of its folders."""
        with self._lock:
            found = list(self._items[mailbox].values())
        if self._mail_server and folder in (None, "inbox"):
            inbox = self._mail_server.inbox(_user(mailbox))
            found += [Item(f"inbox-{uid}", "inbox", message) for uid, message in inbox.items()]
        return [item for item in found if folder in (None, item.folder)]

    def find(self, mailbox: str, identity: str) -> Item | None:
        """One message."""
        return next((item for item in self.items(mailbox) if item.id == identity), None)

    def add(self, mailbox: str, folder: str, message: EmailMessage) -> Item:
        """Puts a message into a folder in memory."""
        item = Item(f"{folder}-{uuid.uuid4().hex}", folder, message)
        with self._lock:
            self._items[mailbox][item.id] = item
        return item

    def remove(self, mailbox: str, item: Item, *, for_good: bool) -> None:
        """Moves a message to the deleted ones, or out of the mailbox."""
        with self._lock:
            held = self._items[mailbox].pop(item.id, None)
        if not held and self._mail_server:
            self._mail_server.remove(_user(mailbox), item.id.removeprefix("inbox-"))
        if not for_good and item.folder != "deleteditems":
            self.add(mailbox, "deleteditems", item.message)

    def deliver(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Hands a message over; whom Postfix does not know only a bounce would tell."""
        if not self._mail_server:
            for address in {one.lower() for one in recipients} & set(self._items):
                self.add(address, "inbox", graph_mail.parsed(content))
            return
        with smtplib.SMTP("127.0.0.1", self._mail_server.ports["relay"], timeout=SECONDS) as smtp:
            smtp.ehlo()
            options = ["SMTPUTF8", "BODY=8BITMIME"] if not all(map(str.isascii, [sender, *recipients])) else ()
            try:
                smtp.sendmail(sender, recipients, content, options)
            except smtplib.SMTPRecipientsRefused:
                return


def _user(mailbox: str) -> str:
    return mailbox.partition("@")[0]
