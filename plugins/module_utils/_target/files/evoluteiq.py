# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""EvoluteIQ: its SMTP configuration, as a settings sheet."""

from __future__ import annotations

from collections.abc import Iterator

from ..._connector.checks import is_address
from ..._connector.resolved import OAuthSettings
from ..._errors import FieldMessage
from ..formats.sheet import SecretReference, Sheet, SheetValue
from ..interface import Account


class Evoluteiq(Sheet):
    """The page SMTP configuration, of the type Generic or MS Graph API."""

    name = "evoluteiq"
    other_fields = ("name", "signature", "description", "is_default")
    title = "EvoluteIQ: SMTP configuration"
    protocols = ("smtp", "graph")
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("from_address",))

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector, oauth2 = account.connector, account.connector.oauth2 or OAuthSettings()
        if connector.graph:
            for name in ("username", "password", "tenant_id", "client_id", "client_secret"):
                if f"oauth2.{name}" not in connector.declared:
                    yield f"oauth2.{name}", "is required by evoluteiq for Microsoft Graph"
            if oauth2.username and connector.graph.mailbox != oauth2.username:
                yield "graph.mailbox", "must be oauth2.username in evoluteiq"
            return
        server = account.smtp
        if server.auth == "oauth2":
            yield "smtp.auth", "must be none or password in evoluteiq"
        if server.auth == "password" and not is_address(server.username):
            yield "smtp.username", "must be an address in evoluteiq"
        if not connector.from_address:
            yield "from_address", "is required by evoluteiq"

    def fields(self, account: Account) -> Iterator[tuple[str, SheetValue]]:
        connector, oauth2 = account.connector, account.connector.oauth2 or OAuthSettings()
        yield "Name", connector.name
        yield "Type", "MS Graph API" if connector.graph else "Generic"
        yield "Is default", account.is_default
        yield "From address", connector.from_address or oauth2.username
        yield "Signature", connector.signature
        yield "Description", connector.description
        if connector.graph:
            yield "User name", oauth2.username
            yield "Password", SecretReference("oauth2.password")
            yield "Tenant ID", oauth2.tenant_id
            yield "Client ID", oauth2.client_id
            yield "Client secret", SecretReference("oauth2.client_secret")
            return
        server = account.smtp
        yield "Host name", server.host
        yield "Port", server.port
        yield "Auth required", server.auth == "password"
        if server.auth == "password":
            yield "User name", server.username
            yield "Password", SecretReference("imap.password" if server.same_credentials else "smtp.password")
        yield "TLS/SSL", server.security != "none"
