# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a mail says of the connector that sent it."""

from __future__ import annotations

from dataclasses import dataclass

from .._connector.resolved import ResolvedConnector


@dataclass(frozen=True)
class Facts:
    """What is named in the body; what is empty is left out."""

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
    """What there is to say of a connector that can send."""
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
