# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A message that is ready to be sent, and its Message-ID."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass

from . import header


@dataclass(frozen=True)
class OutgoingMail:
    """A composed mail message and its envelope, ready to be sent."""

    message: bytes
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    bcc: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.message)

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address, in the envelope or in a header, cannot be written in ASCII."""
        return self.needs_8bit or not all(each.isascii() for each in (self.sender, *self.recipients))

    @property
    def needs_8bit(self) -> bool:
        return not self.message.isascii()

    def naming_bcc(self) -> bytes:
        """The message with a Bcc header, for a service that reads recipients from headers and removes this one."""
        return header.line("Bcc", header.mailboxes(self.bcc)) + self.message if self.bcc else self.message


def init_message_id(registry: str, connector: str, fingerprint: str, domain: str) -> str:
    """Equal for equal settings of the same connector, so that a repetition after a crash is recognised.

    `connector` tells it from every other one of the registry, also from those created in the same second and from one
    that was deleted and created anew; `fingerprint` tells the proven settings apart.
    """
    facts = json.dumps([registry, connector, fingerprint])
    return f"<init.{hashlib.sha256(facts.encode()).hexdigest()[:40]}@{domain}>"


def random_message_id(domain: str) -> str:
    """A Message-ID that no other message has."""
    return f"<test.{secrets.token_hex(20)}@{domain}>"
