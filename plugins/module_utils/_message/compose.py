# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Composes test mail and Init Mail."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from .._connector import checks
from .._connector.fields import BY_NAME
from .._connector.resolved import ResolvedConnector
from .._verdict.observation import probe_error
from .body import Content
from .draft import Draft, Mailbox, assemble
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
    name = request.facts.shown_name
    subject = request.wording.subject.format(name=name)
    opening = request.wording.opening.format(name=name)
    content = Content(subject, opening, request.facts.rows(), connector.signature)
    cc, bcc = (connector.cc, connector.bcc) if request.include_copies else ((), ())
    return assemble(
        connector,
        Draft(
            to=tuple(map(Mailbox, request.to)),
            subject=subject,
            message_id=request.message_id,
            date=request.date,
            text=content.text(),
            html=content.html(),
            cc=tuple(map(Mailbox, cc)),
            bcc=tuple(map(Mailbox, bcc)),
        ),
    )


def _check(connector: ResolvedConnector, request: Request) -> None:
    """What is only in the body; all else is checked where the mail is assembled."""
    if not request.to:
        raise probe_error("config", "there is no recipient: set test_address or the option to", field="test_address")
    texts = {each.name: getattr(request.facts, each.name) for each in fields(request.facts)}
    for name, check, value in (
        ("signature", BY_NAME["signature"].check, connector.signature),
        *((name, checks.text(400), text) for name, text in texts.items() if isinstance(text, str)),
    ):
        problems = checks.run_check(check, value, "", name) if value else []
        if problems:
            raise probe_error("config", str(problems[0]))
