# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Assembles a mail from what is to be said and from the settings of the connector that sends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from .._connector import checks
from .._connector.fields import BY_NAME, MAX_COPIES
from .._connector.resolved import ResolvedConnector
from .._verdict.observation import probe_error
from . import header
from .body import boundary, mime
from .header import with_ascii_domain
from .outgoing_mail import File, FilePart, OutgoingMail

MOST_RECIPIENTS = 1000
SUBJECT = checks.text(1000)
SHOWN_NAME = checks.text(200)
FILE_NAME = checks.pattern(
    re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/\\]{1,255}\Z"),
    "must be 1 to 255 characters on one line, without control characters, / and \\",
)
CONTENT_TYPE = checks.pattern(
    re.compile(
        r"(?!(?:multipart|message)/)[a-z0-9.+-]{1,60}/[a-z0-9.+_-]{1,100}(; ?[a-z-]{1,30}=[a-z0-9._-]{1,60}){0,3}\Z",
        re.I,
    ),
    "must be a media type such as application/pdf, but neither multipart/ nor message/",
)
_MESSAGE_ID = re.compile(r"<[!#-;=?A-Z^-~]{1,120}@[A-Za-z0-9_.-]{1,253}>\Z")
_AUTO_SUBMITTED = "Auto-Submitted"


class Mailbox(NamedTuple):
    """An address, and the name that is shown with it."""

    address: str
    name: str = ""


@dataclass(frozen=True)
class Draft:
    """One mail to assemble: what the connector says nothing about, or less than this."""

    to: tuple[Mailbox, ...]
    subject: str
    message_id: str
    date: datetime
    text: str = ""
    html: str = ""
    """Text and HTML, with the signature where they are to have one."""
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: Mailbox | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()


def assemble(connector: ResolvedConnector, draft: Draft) -> OutgoingMail:
    """The mail that a connector sends. It reads no secret, and of the files only what they are called."""
    _check(connector, draft)
    author = author_of(connector)
    to, cc, bcc = (_unique(map(_with_ascii_domain, each)) for each in (draft.to, draft.cc, draft.bcc))
    reply_to = draft.reply_to or (Mailbox(connector.reply_to) if connector.reply_to else None)
    given = {name.lower() for name in draft.headers}
    inherited = {name: content for name, content in connector.headers.items() if name.lower() not in given}
    headers = [
        ("Date", format_datetime(draft.date)),
        ("From", header.mailbox(with_ascii_domain(author), connector.from_name)),
        ("Reply-To", _shown([_with_ascii_domain(reply_to)]) if reply_to else ""),
        ("To", _shown(to)),
        ("Cc", _shown(cc)),
        ("Subject", header.display_text(draft.subject)),
        ("Message-ID", draft.message_id),
        *_custom_headers({**inherited, **draft.headers}),
    ]
    lines = b"".join(header.line(label, text) for label, text in headers if text)
    body = mime(draft.text, draft.html, draft.message_id)
    files: tuple[FilePart, ...] = ()
    end = b""
    if draft.files:
        delimiter = boundary("mixed", draft.message_id)
        lines += b"MIME-Version: 1.0\r\n" + header.line("Content-Type", f'multipart/mixed; boundary="{delimiter}"')
        body = f"\r\n--{delimiter}\r\n".encode() + body
        files = tuple(_file_part(each, delimiter) for each in draft.files)
        end = f"--{delimiter}--\r\n".encode()
    return OutgoingMail(
        message=lines + body,
        sender=with_ascii_domain(connector.errors_to or author),
        recipients=tuple(each.address for each in _unique([*to, *cc, *bcc])),
        message_id=draft.message_id,
        bcc=tuple(each.address for each in bcc),
        files=files,
        end=end,
    )


def author_of(connector: ResolvedConnector) -> str:
    """The address that the From header shows; without one there is nothing to send."""
    if not connector.author:
        raise probe_error("config", "there is no sender: set from_address", field="from_address")
    return connector.author


def sending_domain(connector: ResolvedConnector) -> str:
    """The domain for the Message-ID."""
    return with_ascii_domain(author_of(connector)).rpartition("@")[2]


def _with_ascii_domain(mailbox: Mailbox) -> Mailbox:
    return mailbox._replace(address=with_ascii_domain(mailbox.address))


def _shown(mailboxes: Iterable[Mailbox]) -> str:
    return header.mailboxes(header.mailbox(*each) for each in mailboxes)


def _file_part(file: File, delimiter: str) -> FilePart:
    """The part of a file; its name is in the spelling of RFC 2231 where it is not plain ASCII."""
    name = file.name
    is_plain = name.isascii() and len(name) < 60 and '"' not in name and "\\" not in name and "=?" not in name
    parameter = f'filename="{name}"' if is_plain else f"filename*=utf-8''{quote(name, safe='')}"
    head = f"--{delimiter}\r\n".encode()
    head += header.line("Content-Type", file.content_type)
    head += header.line("Content-Disposition", f"attachment; {parameter}")
    return FilePart(head + b"Content-Transfer-Encoding: base64\r\n\r\n", file)


def _custom_headers(custom: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The custom headers in their order, after our Auto-Submitted unless they have one."""
    if _AUTO_SUBMITTED.lower() not in (name.lower() for name in custom):
        yield _AUTO_SUBMITTED, "auto-generated"
    for name, content in custom.items():
        yield name, header.unstructured(str(content))


def _unique(mailboxes: Iterable[Mailbox]) -> list[Mailbox]:
    """Each address once, as it was first written. Only in its domain is the case known not to matter."""
    first: dict[tuple[str, str], Mailbox] = {}
    for mailbox in mailboxes:
        local, _at, domain = mailbox.address.rpartition("@")
        first.setdefault((local, domain.lower()), mailbox)
    return list(first.values())


def _check(connector: ResolvedConnector, draft: Draft) -> None:
    """All of it was validated when it was given; what reaches a header is validated again against injection."""
    copies = checks.list_of(checks.stored_address, MAX_COPIES)
    addresses = checks.list_of(checks.stored_address, MOST_RECIPIENTS + MAX_COPIES)
    file_names = [each.name for each in draft.files]
    for name, check, value in (
        ("from_address", checks.stored_address, connector.from_address),
        ("errors_to", checks.stored_address, connector.errors_to),
        ("from_name", BY_NAME["from_name"].check, connector.from_name),
        ("headers", checks.stored_headers, connector.headers),
        ("headers", checks.headers, draft.headers),
        ("reply_to", checks.stored_address, draft.reply_to.address if draft.reply_to else connector.reply_to),
        ("reply_to", SHOWN_NAME, draft.reply_to.name if draft.reply_to else ""),
        ("subject", SUBJECT, draft.subject),
        ("cc", copies, list(connector.cc)),
        ("bcc", copies, list(connector.bcc)),
        ("to", addresses, _addresses(draft.to)),
        ("cc", addresses, _addresses(draft.cc)),
        ("bcc", addresses, _addresses(draft.bcc)),
        *(("to", SHOWN_NAME, each.name) for each in (*draft.to, *draft.cc, *draft.bcc)),
        *(("attachments", FILE_NAME, each) for each in file_names),
        *(("attachments", CONTENT_TYPE, each.content_type) for each in draft.files),
    ):
        problems = checks.run_check(check, value, "", name) if value else []
        if problems:
            raise probe_error("config", str(problems[0]))
    if not _MESSAGE_ID.match(draft.message_id):
        raise probe_error("config", "message_id: must be an identifier in angle brackets, with the sender's domain")


def _addresses(mailboxes: Iterable[Mailbox]) -> list[str]:
    return list(dict.fromkeys(each.address for each in mailboxes))
