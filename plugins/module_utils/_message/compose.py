# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Composes the mail that the collection sends from the settings of a connector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from .._connector import checks
from .._connector.fields import BY_NAME, MAX_COPIES
from .._connector.resolved import ResolvedConnector
from .._verdict.observation import probe_error
from . import header
from .body import Content, mime
from .header import with_ascii_domain
from .outgoing_mail import OutgoingMail


@dataclass(frozen=True)
class Facts:
    """The facts about the connector in the body; empty values are left out."""

    connector: str
    display_name: str = ""
    type: str = ""
    host: str = ""
    port: int | None = None
    security: str = ""
    user: str = ""
    tenant: str = ""

    @property
    def shown_name(self) -> str:
        return self.display_name or self.connector

    def rows(self) -> list[tuple[str, str]]:
        """The facts with their labels, in the order in which they are read."""
        named = [
            ("Tenant", self.tenant),
            ("Connector", self.connector),
            ("Display name", self.display_name if self.display_name != self.connector else ""),
            ("Host", self.host),
            ("Port", "" if self.port is None else str(self.port)),
            ("Type", self.type),
            ("Security", self.security),
            ("User", self.user or "none, it does not sign in"),
        ]
        return [(label, value) for label, value in named if value]


def facts_of(connector: ResolvedConnector, tenant: str = "") -> Facts:
    """Collect the facts about a connector."""
    server = connector.sender
    if server is None:
        return Facts(connector.name, connector.display_name, tenant=tenant)
    return Facts(
        connector.name,
        connector.display_name,
        type=server.protocol,
        host=server.host,
        port=server.port,
        security=server.security,
        user="" if server.auth == "none" else server.username,
        tenant=tenant,
    )


_MOST_RECIPIENTS = 1000
_MESSAGE_ID = re.compile(r"<[!#-;=?A-Z^-~]{1,120}@[A-Za-z0-9_.-]{1,253}>\Z")
_AUTO_SUBMITTED = "Auto-Submitted"


@dataclass(frozen=True)
class Wording:
    """Subject and opening of a kind of mail; {name} is the connector's display name."""

    subject: str
    opening: str


INIT_MAIL = Wording(
    "Init Mail",
    "This is the Init Mail of the mail connector {name}. Its arrival proves that the connector can send.",
)
TEST_MAIL = Wording(
    "Test mail from {name}",
    "This is a test mail of the mail connector {name}. Its arrival shows that the connector can send.",
)


@dataclass(frozen=True)
class Request:
    """One mail to compose."""

    wording: Wording
    to: tuple[str, ...]
    facts: Facts
    message_id: str
    date: datetime
    include_copies: bool = False
    """Whether the connector's own cc and bcc get it too."""


def compose(connector: ResolvedConnector, request: Request) -> OutgoingMail:
    """The mail that a connector sends. It reads no secret."""
    _check(connector, request)
    author = author_of(connector)
    to = _unique(with_ascii_domain(each) for each in request.to)
    cc: list[str] = []
    bcc: list[str] = []
    if request.include_copies:
        cc, bcc = ([with_ascii_domain(each) for each in copies] for copies in (connector.cc, connector.bcc))
    name = request.facts.shown_name
    subject = request.wording.subject.format(name=name)
    headers = [
        ("Date", format_datetime(request.date)),
        ("From", header.mailbox(with_ascii_domain(author), connector.from_name)),
        ("Reply-To", with_ascii_domain(connector.reply_to) if connector.reply_to else ""),
        ("To", header.mailboxes(to)),
        ("Cc", header.mailboxes(cc)),
        ("Subject", header.display_text(subject)),
        ("Message-ID", request.message_id),
        *_custom_headers(connector.headers),
    ]
    opening = request.wording.opening.format(name=name)
    content = Content(subject, opening, request.facts.rows(), connector.signature)
    lines = b"".join(header.line(label, text) for label, text in headers if text)
    return OutgoingMail(
        message=lines + mime(content, request.message_id),
        sender=with_ascii_domain(connector.errors_to or author),
        recipients=tuple(_unique([*to, *cc, *bcc])),
        message_id=request.message_id,
        bcc=tuple(bcc),
    )


def author_of(connector: ResolvedConnector) -> str:
    """The address that the From header shows; without one there is nothing to send."""
    if not connector.author:
        raise probe_error("config", "there is no sender: set from_address", field="from_address")
    return connector.author


def sending_domain(connector: ResolvedConnector) -> str:
    """The domain for the Message-ID."""
    return with_ascii_domain(author_of(connector)).rpartition("@")[2]


def _custom_headers(custom: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The custom headers in their order, after our Auto-Submitted unless they have one."""
    if _AUTO_SUBMITTED.lower() not in (name.lower() for name in custom):
        yield _AUTO_SUBMITTED, "auto-generated"
    for name, content in custom.items():
        yield name, header.unstructured(str(content))


def _unique(addresses: Iterable[str]) -> list[str]:
    """Each address once, as it was first written. Only in its domain is the case known not to matter."""
    first: dict[tuple[str, str], str] = {}
    for address in addresses:
        local, _at, domain = address.rpartition("@")
        first.setdefault((local, domain.lower()), address)
    return list(first.values())


def _check(connector: ResolvedConnector, request: Request) -> None:
    """Settings were validated when they were declared; what reaches a header is validated again against injection."""
    copies = checks.list_of(checks.stored_address, MAX_COPIES)
    recipients = checks.list_of(checks.stored_address, _MOST_RECIPIENTS)
    for name, check, value in (
        ("from_address", checks.stored_address, connector.from_address),
        ("reply_to", checks.stored_address, connector.reply_to),
        ("errors_to", checks.stored_address, connector.errors_to),
        ("from_name", BY_NAME["from_name"].check, connector.from_name),
        ("signature", BY_NAME["signature"].check, connector.signature),
        ("cc", copies, list(connector.cc)),
        ("bcc", copies, list(connector.bcc)),
        ("headers", checks.stored_headers, connector.headers),
        ("to", recipients, list(dict.fromkeys(request.to))),
    ):
        if value:
            _require(name, check, value)
    if not request.to:
        raise probe_error("config", "there is no recipient: set test_address or the option to", field="test_address")
    for each in fields(request.facts):
        value = getattr(request.facts, each.name)
        if isinstance(value, str) and value:
            _require(each.name, checks.text(400), value)
    if not _MESSAGE_ID.match(request.message_id):
        raise probe_error("config", "message_id: must be an identifier in angle brackets, with the sender's domain")


def _require(name: str, check: checks.Check, value: Any) -> None:
    for problem in checks.run_check(check, value, "", name):
        raise probe_error("config", str(problem))
