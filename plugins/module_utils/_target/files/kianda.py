# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Kianda: its Email connector, as a settings sheet."""

from __future__ import annotations

from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats.sheet import SecretReference, Sheet, SheetValue
from ..interface import Account


class Kianda(Sheet):
    """The connector Email, which reads a mailbox and may send."""

    name = "kianda"
    other_fields = (*Sheet.other_fields, "test_address")
    title = "Kianda: Email connector"
    protocols = ("imap", "smtp")
    securities = ("none", "tls")
    supported_features = frozenset(("from_address",))

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector = account.connector
        if not connector.imap:
            yield "imap", "is required by kianda, whose connector always reads a mailbox"
        for server in account.endpoints:
            if server.auth != "password":
                yield f"{server.protocol}.auth", "must be password in kianda"
        if connector.smtp and connector.from_address not in ("", connector.smtp.username):
            hint = "name it in options.leave_out if mail may go without it"
            yield "from_address", f"must be the user who signs in at the server that sends in kianda; {hint}"

    def fields(self, account: Account) -> Iterator[tuple[str, SheetValue]]:
        connector, imap, smtp = account.connector, account.imap, account.connector.smtp
        yield "Display name", connector.display_name
        yield "IMAP server", imap.host
        yield "Port", imap.port
        yield "Use SSL", imap.security == "tls"
        yield "Username/email", imap.username
        yield "Password", SecretReference("imap.password")
        yield "Enable mail send from", smtp is not None
        if smtp is None:
            return
        yield "SMTP server", smtp.host
        yield "SMTP port", smtp.port
        yield "SMTP use SSL", smtp.security == "tls"
        yield "Test email address", connector.test_address
        yield "Use same credentials as above", smtp.same_credentials
        if not smtp.same_credentials:
            yield "SMTP username", smtp.username
            yield "SMTP password", SecretReference("smtp.password")
