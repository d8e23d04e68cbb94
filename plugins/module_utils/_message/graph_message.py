# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A message as Microsoft Graph describes it in JSON: what it can say of a mail, and what it leaves out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from .._verdict.observation import probe_error
from .outgoing_mail import File, OutgoingMail

SMALLEST_UPLOAD = 3 * 1024 * 1024
MOST_HEADERS = 5

_FOLD = re.compile(r"\r?\n(?=[ \t])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_RECIPIENTS = ("toRecipients", "ccRecipients", "bccRecipients")
_HAS_JSON_FIELD = frozenset("from to cc bcc reply-to subject date message-id mime-version".split())


@dataclass(frozen=True)
class Attachment:
    """What is attached to a message."""

    name: str
    kind: str
    content: bytes | File
    content_id: str = ""
    is_inline: bool = False

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.size

    @property
    def needs_upload(self) -> bool:
        return self.size >= SMALLEST_UPLOAD

    def pieces(self, size: int) -> Iterator[bytes]:
        """Its content in pieces of this size."""
        if not isinstance(self.content, bytes):
            yield from self.content.pieces(size)
            return
        for start in range(0, len(self.content), size):
            yield self.content[start : start + size]

    def attachment(self) -> dict[str, Any]:
        content = base64.b64encode(b"".join(self.pieces(SMALLEST_UPLOAD))).decode("ascii")
        return {"@odata.type": "#microsoft.graph.fileAttachment", **self._about(), "contentBytes": content}

    def item(self) -> dict[str, Any]:
        """The same for an upload, which brings the content afterwards."""
        return {"attachmentType": "file", **self._about(), "size": self.size}

    def _about(self) -> dict[str, Any]:
        about = {"name": self.name, "contentType": self.kind, "isInline": self.is_inline}
        return {**about, "contentId": self.content_id} if self.content_id else about


@dataclass(frozen=True)
class GraphMessage:
    """A message as Graph's JSON, its attachments, and what that JSON cannot express."""

    message: Mapping[str, Any]
    files: tuple[Attachment, ...]
    lost: tuple[str, ...]


def graph_message(mail: OutgoingMail) -> GraphMessage:
    """A mail as Graph describes messages."""
    head = _head(mail)
    parts = list(_parts(message_from_bytes(mail.message)))
    texts: dict[str, Message] = {}
    for part in parts:
        is_attached = part.get_content_disposition() == "attachment" or part.get_filename()
        if not is_attached and part.get_content_type() in ("text/html", "text/plain"):
            texts.setdefault(part.get_content_subtype(), part)
    body = texts.get("html", texts.get("plain"))
    custom = [
        (name, text)
        for name, text in head.items()
        if name.lower() not in _HAS_JSON_FIELD and not name.lower().startswith("content-")
    ]
    carried = [(name, text) for name, text in custom if name.lower().startswith("x-")][:MOST_HEADERS]
    recipients = {
        "toRecipients": _recipients(head, "To"),
        "ccRecipients": _recipients(head, "Cc"),
        "bccRecipients": [_recipient("", each) for each in mail.bcc],
        "replyTo": _recipients(head, "Reply-To"),
    }
    # Graph takes the recipients from the headers: they must be those of the envelope exactly.
    named = {each["emailAddress"]["address"].lower() for key in _RECIPIENTS for each in recipients[key]}
    if named != {each.lower() for each in mail.recipients}:
        raise probe_error("internal", "the headers and the envelope do not name the same recipients")
    described: dict[str, Any] = {
        "subject": _decode(head.get("Subject", "")),
        "body": {"contentType": "html" if "html" in texts else "text", "content": _body_text(body)},
        "from": next(iter(_recipients(head, "From")), None),
        **recipients,
        "internetMessageId": mail.message_id,
        "internetMessageHeaders": [{"name": name, "value": _unfold(text)} for name, text in carried],
    }
    lost = [name for name, text in custom if (name, text) not in carried]
    return GraphMessage(
        message={name: value for name, value in described.items() if value},
        files=(
            *(_attachment(part) for part in parts if part not in texts.values()),
            *(Attachment(each.file.name, each.file.content_type, each.file) for each in mail.files),
        ),
        lost=(*lost, *(["the plain text alternative"] if len(texts) > 1 else [])),
    )


def _head(mail: OutgoingMail) -> Message:
    """The headers alone, decoded as UTF-8; those of the body are parsed as bytes."""
    return message_from_string(_HEAD_END.split(mail.message, 1)[0].decode("utf-8", "replace"))


def _parts(part: Message) -> Iterator[Message]:
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in part.get_payload():
            yield from _parts(inner)  # type: ignore[arg-type]
    else:
        yield part


def _body_text(part: Message | None) -> str:
    if part is None:
        return ""
    try:
        return _content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return _content(part).decode("utf-8", "replace")


def _content(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(each.as_bytes() for each in part.get_payload() if isinstance(each, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _attachment(part: Message) -> Attachment:
    return Attachment(
        name=_decode(part.get_filename("") or "attachment"),
        kind=part.get_content_type(),
        content=_content(part),
        content_id=str(part.get("Content-ID", "")).strip("<> \r\n\t"),
        is_inline=part.get_content_disposition() == "inline",
    )


def _recipients(head: Message, name: str) -> list[dict[str, Any]]:
    found = getaddresses([_unfold(text) for text in head.get_all(name, [])])
    return [_recipient(_decode(shown), address) for shown, address in found if address]


def _recipient(name: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": name, "address": address} if name else {"address": address}}


def _unfold(text: object) -> str:
    return _FOLD.sub("", str(text)).strip()


def _decode(text: object) -> str:
    try:
        return str(make_header(decode_header(_unfold(text))))
    except (ValueError, LookupError):
        return _unfold(text)


def always_lost(mail: OutgoingMail) -> list[str]:
    """What Graph carries in no request: it chooses the envelope sender itself."""
    author = next((address for _name, address in getaddresses([_unfold(_head(mail).get("From", ""))])), "")
    return ["errors_to"] if mail.sender.lower() != author.lower() else []
