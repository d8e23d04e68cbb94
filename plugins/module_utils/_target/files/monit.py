# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Monit: the server that it sends alerts through, in a file that its control file includes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..interface import MARK, Account, FileTarget, own_file

_STARTTLS_PORTS = (25, 587)
_NOT_IN_FORMAT = re.compile(r"[{}<>$\"',]")


class Monit(FileTarget):
    """A monitor of services that sends alerts."""

    name = "monit"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(
        ("from_address", "from_name", "reply_to", "smtp.ca_file", "smtp.client_cert", "smtp.ehlo_name")
    )
    secret = re.compile(r"^(  password ).*$", re.MULTILINE)
    check = ("monit", "-t")
    service = "monit"
    reload = "reloaded"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector, server = account.connector, account.smtp
        if server.security == "starttls" and server.port not in _STARTTLS_PORTS:
            yield "smtp.port", "must be 25 or 587 with starttls in monit, which uses TLS at once on every other port"
        if server.security == "tls" and server.port in _STARTTLS_PORTS:
            yield "smtp.port", "cannot be 25 or 587 with tls in monit, which uses STARTTLS on these"
        for field, value in _strings(account):
            if '"' in value and "'" in value:
                yield field, "cannot hold both kinds of quotes in monit"
        for field in ("from_name", "from_address", "reply_to"):
            if _NOT_IN_FORMAT.search(getattr(connector, field)):
                yield field, "cannot hold { } < > $ , or quotes in monit"
        if server.trust.client_key not in ("", server.trust.client_cert):
            yield "smtp.client_key", "must be in the same file as the certificate in monit"

    def render(self, _text: str, account: Account) -> str:
        connector, server, trust = account.connector, account.smtp, account.smtp.trust
        lines = [f"set mailserver {_quote(server.host)} port {server.port}"]
        if account.password:
            lines += [
                f"  username {_quote(server.username)}",
                f"  password {_quote(account.password.reveal())}",
            ]
        if server.security != "none":
            options = ["verify: enable" if trust.validate else "verify: disable"]
            if not trust.validate:
                options.append("selfsigned: allow")
            elif trust.ca_file:
                options.append(f"cacertificatefile: {_quote(trust.ca_file)}")
            if trust.client_cert:
                options.append(f"clientpemfile: {_quote(trust.client_cert)}")
            lines.append("  using ssl with options {")
            lines += [f"    {option}" for option in options]
            lines.append("  }")
        if server.ehlo_name:
            lines.append(f"  using hostname {_quote(server.ehlo_name)}")
        if connector.from_address or connector.reply_to:
            lines.append("set mail-format {")
            if connector.from_address:
                shown = f"{connector.from_name} <{connector.from_address}>" if connector.from_name else ""
                lines.append(f"  from: {shown or connector.from_address}")
            if connector.reply_to:
                lines.append(f"  reply-to: {connector.reply_to}")
            lines.append("}")
        return own_file(MARK, lines)


def _strings(account: Account) -> Iterator[tuple[str, str]]:
    server, trust = account.smtp, account.smtp.trust
    yield "smtp.username", server.username
    yield "smtp.password", account.password.reveal() if account.password else ""
    yield "smtp.ca_file", trust.ca_file
    yield "smtp.client_cert", trust.client_cert


def _quote(value: str) -> str:
    """Monit knows no escapes: a text is in the quotes that it does not hold."""
    return f"'{value}'" if '"' in value else f'"{value}"'
