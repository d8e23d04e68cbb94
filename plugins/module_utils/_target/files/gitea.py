# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Gitea and Forgejo: the sections mailer and email.incoming of app.ini."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import formataddr
from typing import Any

from ..._connector.resolved import Protocol
from ..._errors import FieldMessage
from ..formats import ini
from ..formats.managed_block import ManagedBlockTarget
from ..interface import Account, Option

_PROTOCOLS = {"none": "smtp", "starttls": "smtp+starttls", "tls": "smtps"}
_TOKEN = "%{token}"


class Gitea(ManagedBlockTarget):
    """A forge that sends notices and reads answers to them."""

    name = "gitea"
    protocols = ("smtp", "imap")
    securities = tuple(_PROTOCOLS)
    supported_features = frozenset(
        ("from_address", "from_name", "errors_to", "smtp.client_cert", "smtp.ehlo_name", "imap.mailbox")
    )
    options = (Option("incoming_address"), Option("delete", "bool"))
    secret = re.compile(r"^(PASSW(?:OR)?D = ).*$", re.MULTILINE)
    check = ("gitea", "doctor", "check", "--config", "{path}")
    service = "gitea"

    def written_protocols(self, options: Mapping[str, Any]) -> tuple[Protocol, ...]:
        return tuple(each for each in self.protocols if each != "imap" or options.get("incoming_address"))

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector, address = account.connector, account.options.get("incoming_address") or ""
        if address and (_TOKEN not in address.partition("@")[0] or not connector.imap):
            yield "options.incoming_address", f"must hold {_TOKEN} before the @, and needs an imap block"
        if connector.smtp and not connector.from_address:
            yield "from_address", "is required by gitea"
        if "imap" in account.protocols and account.imap.security == "starttls":
            yield "imap.security", "must be one of none, tls for gitea"
        texts = {"from_name": connector.from_name, "from_address": connector.from_address}
        for server in account.endpoints:
            texts[f"{server.protocol}.username"] = server.username
            texts[f"{server.protocol}.password"] = server.password.reveal() if server.password else ""
        for field, value in texts.items():
            problem = ini.go_problem(value)
            if problem:
                yield field, f"{problem} in gitea"

    def render(self, text: str, account: Account) -> str:
        sections = {}
        if "smtp" in account.protocols:
            sections["mailer"] = dict(_mailer(account))
        if "imap" in account.protocols:
            sections["email.incoming"] = dict(_incoming(account))
        return ini.append_go_sections(text, sections)


def _mailer(account: Account) -> Iterator[tuple[str, str]]:
    connector, server, trust = account.connector, account.smtp, account.smtp.trust
    yield "ENABLED", "true"
    yield "PROTOCOL", _PROTOCOLS[server.security]
    yield "SMTP_ADDR", server.host
    yield "SMTP_PORT", str(server.port)
    yield "FROM", formataddr((connector.from_name, connector.from_address))
    if connector.errors_to:
        yield "ENVELOPE_FROM", connector.errors_to
    yield "USER", server.username if account.password else ""
    yield "PASSWD", account.password.reveal() if account.password else ""
    yield "FORCE_TRUST_SERVER_CERT", str(not trust.validate).lower()
    if server.ehlo_name:
        yield "ENABLE_HELO", "true"
        yield "HELO_HOSTNAME", server.ehlo_name
    if trust.client_cert:
        yield "USE_CLIENT_CERT", "true"
        yield "CLIENT_CERT_FILE", trust.client_cert
        yield "CLIENT_KEY_FILE", trust.client_key or trust.client_cert


def _incoming(account: Account) -> Iterator[tuple[str, str]]:
    server = account.imap
    yield "ENABLED", "true"
    yield "REPLY_TO_ADDRESS", account.options["incoming_address"]
    yield "HOST", server.host
    yield "PORT", str(server.port)
    yield "USERNAME", server.username
    yield "PASSWORD", server.password.reveal() if server.password else ""
    yield "USE_TLS", str(server.security == "tls").lower()
    yield "SKIP_TLS_VERIFY", str(not server.trust.validate).lower()
    yield "MAILBOX", server.mailbox
    yield "DELETE_HANDLED_MESSAGE", str(bool(account.options.get("delete"))).lower()
