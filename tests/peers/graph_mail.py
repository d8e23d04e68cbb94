# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message as Microsoft Graph writes it in JSON, and as it is sent."""

from __future__ import annotations

import base64
import datetime as dt
import email
import email.policy
import email.utils
import uuid
from collections.abc import Iterable, Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

RECIPIENTS = {"to": "toRecipients", "cc": "ccRecipients", "bcc": "bccRecipients"}
POLICY = email.policy.SMTP.clone(max_line_length=998)


class NotAMessage(Exception):
    """The message cannot be made: a code of Graph, and why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def from_json(value: Mapping[str, Any], mailbox: str) -> EmailMessage:
    """The message that this JSON describes; a draft, so it may lack recipients."""
    message = EmailMessage(policy=POLICY)
    message["From"] = _address(value.get("from") or {"emailAddress": {"address": mailbox}})
    for header, name in RECIPIENTS.items():
        if value.get(name):
            message[header.title()] = [_address(one) for one in value[name]]
    if value.get("replyTo"):
        message["Reply-To"] = [_address(one) for one in value["replyTo"]]
    message["Subject"] = value.get("subject") or ""
    message["Date"] = email.utils.format_datetime(dt.datetime.now(dt.timezone.utc))
    message["Message-ID"] = value.get("internetMessageId") or f"<{uuid.uuid4().hex}@graph.example.com>"
    _add_headers(message, value.get("internetMessageHeaders") or [])
    body = value.get("body") or {}
    message.set_content(body.get("content") or "", subtype="html" if body.get("contentType") == "html" else "plain")
    for attachment in value.get("attachments") or []:
        attach(message, attachment, base64.b64decode(attachment.get("contentBytes") or ""))
    return message


def _add_headers(message: EmailMessage, headers: Iterable[Mapping[str, str]]) -> None:
    for header in headers:
        name = header.get("name") or ""
        if not name.lower().startswith("x-"):
            text = f"The internet message header name '{name}' should start with 'x-' or 'X-'."
            raise NotAMessage("InvalidInternetMessageHeader", text)
        message[name] = header.get("value") or ""


def _address(recipient: Mapping[str, Any]) -> Address:
    entry = recipient.get("emailAddress") or {}
    try:
        return Address(entry.get("name") or "", addr_spec=entry.get("address") or "")
    except (ValueError, IndexError, email.errors.MessageError) as error:
        raise NotAMessage("ErrorInvalidRecipients", "At least one recipient is not valid.") from error


def attach(message: EmailMessage, about: Mapping[str, Any], content: bytes) -> None:
    """Adds a file to a message."""
    kind, _slash, subkind = (about.get("contentType") or "application/octet-stream").partition("/")
    message.add_attachment(content, maintype=kind, subtype=subkind or "octet-stream", filename=about.get("name"))


def parsed(content: bytes) -> EmailMessage:
    """The message in these bytes."""
    return email.message_from_bytes(content, policy=POLICY)


def recipients(message: EmailMessage) -> list[str]:
    """Everybody whom it is for."""
    return [one.addr_spec for header in RECIPIENTS for field in message.get_all(header, []) for one in field.addresses]


def sender(message: EmailMessage) -> str:
    """Whom it says it is from."""
    addresses = message["From"].addresses if message["From"] else ()
    return addresses[0].addr_spec if addresses else ""


def without_bcc(content: bytes) -> bytes:
    """The same bytes, but for this header."""
    head, empty, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    kept, keep = [], True
    for line in head.split(b"\n"):
        if not line.startswith((b" ", b"\t")):
            keep = not line.lower().startswith(b"bcc:")
        if keep:
            kept.append(line)
    return (b"\n".join(kept) + empty + body).replace(b"\n", b"\r\n")


def to_json(message: EmailMessage, *, identity: str, folder: str, draft: bool, basic: bool) -> dict[str, Any]:
    """How Graph describes a message."""
    moment = (
        message["Date"].datetime if message["Date"] and message["Date"].datetime else dt.datetime.now(dt.timezone.utc)
    )
    when = moment.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = message.get_body(("html", "plain"))
    content = body.get_content() if body else ""
    value = {
        "id": identity,
        "internetMessageId": str(message["Message-ID"] or "").strip(),
        "subject": str(message["Subject"] or ""),
        "from": _one(message, "From"),
        "sender": _one(message, "Sender") or _one(message, "From"),
        **{name: _several(message, header) for header, name in RECIPIENTS.items()},
        "replyTo": _several(message, "Reply-To"),
        "receivedDateTime": when,
        "sentDateTime": when,
        "createdDateTime": when,
        "isDraft": draft,
        "isRead": draft,
        "hasAttachments": any(True for _part in message.iter_attachments()),
        "importance": "normal",
        "parentFolderId": folder,
        "internetMessageHeaders": [{"name": name, "value": str(text)} for name, text in message.items()],
    }
    if not basic:
        kind = body.get_content_subtype().replace("plain", "text") if body else "text"
        value |= {"body": {"contentType": kind, "content": content}, "bodyPreview": content[:255]}
    return value


def _several(message: EmailMessage, header: str) -> list[dict[str, Any]]:
    return [
        {"emailAddress": {"name": one.display_name or one.addr_spec, "address": one.addr_spec}}
        for field in message.get_all(header, [])
        for one in field.addresses
    ]


def _one(message: EmailMessage, header: str) -> dict[str, Any] | None:
    return next(iter(_several(message, header)), None)
