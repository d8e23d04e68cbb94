# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A message that is ready to be sent, and its Message-ID."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from . import header


class File(Protocol):
    """A file to attach, whose content is read only while it is sent."""

    @property
    def name(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def encoded_size(self) -> int:
        """Its size in base64, with the line ends."""

    def pieces(self, size: int) -> Iterator[bytes]:
        """Its content in pieces of this size."""

    def encoded(self) -> Iterator[bytes]:
        """Its content in base64, in pieces of whole lines."""


@dataclass(frozen=True)
class FilePart:
    """An attached file as a part of a message."""

    head: bytes
    """Its delimiter and headers, with the empty line after them."""
    file: File


@dataclass(frozen=True)
class OutgoingMail:
    """A composed mail message and its envelope, ready to be sent."""

    message: bytes
    """All of it, or what stands before the attached files."""
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    bcc: tuple[str, ...] = ()
    files: tuple[FilePart, ...] = ()
    end: bytes = b""
    """What stands after the attached files."""

    @property
    def size(self) -> int:
        files = sum(len(part.head) + part.file.encoded_size for part in self.files)
        return len(self.message) + files + len(self.end)

    def chunks(self) -> Iterator[bytes]:
        """The whole message in pieces of whole lines; files are read only now."""
        yield self.message
        for part in self.files:
            yield part.head
            yield from part.file.encoded()
        if self.end:
            yield self.end

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address, in the envelope or in a header, cannot be written in ASCII."""
        return self.needs_8bit or not all(each.isascii() for each in (self.sender, *self.recipients))

    @property
    def needs_8bit(self) -> bool:
        return not self.message.isascii()

    def naming_bcc(self) -> bytes:
        """The message with a Bcc header, for a service that reads recipients from headers and removes this one."""
        named = header.line("Bcc", header.mailboxes(self.bcc)) if self.bcc else b""
        return named + b"".join(self.chunks())


def init_message_id(registry: str, connector: str, fingerprint: str, domain: str) -> str:
    """Equal for equal settings of the same connector, so that a repetition after a crash is recognised.

    `connector` tells it from every other one of the registry, also from those created in the same second and from one
    that was deleted and created anew; `fingerprint` tells the proven settings apart.
    """
    facts = json.dumps([registry, connector, fingerprint])
    return f"<init.{hashlib.sha256(facts.encode()).hexdigest()[:40]}@{domain}>"


def random_message_id(domain: str, kind: str = "test") -> str:
    """A Message-ID that no other message has."""
    return f"<{kind}.{secrets.token_hex(20)}@{domain}>"
