# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a mail says of the connector that sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._auth.clouds import graph_of
from .._connector import checks
from .._connector.effective import kind

_HTTPS = 443


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


def facts_of(connector: str, effective: Mapping[str, Any], tenant: str = "") -> Facts:
    """What there is to say of a connector that can send."""
    block = kind(effective)
    named = _of_graph(effective) if block == "graph" else _of_smtp(effective.get("smtp", {}))
    display_name = str(effective.get("display_name", connector))
    return Facts(connector, display_name, type=block, tenant=tenant, **named)


def _of_smtp(server: Mapping[str, Any]) -> dict[str, Any]:
    user = server.get("username", "") if server.get("auth") != "none" else ""
    return {
        "host": server.get("host", ""),
        "port": server.get("port"),
        "security": server.get("security", ""),
        "user": user,
    }


def _of_graph(effective: Mapping[str, Any]) -> dict[str, Any]:
    graph, oauth2 = effective["graph"], effective.get("oauth2", {})
    url = graph_of(oauth2.get("cloud", "global"), graph.get("url", ""))
    place = checks.endpoint(url, ("https",), "must be https://host or https://host:port")
    user = graph.get("mailbox") or oauth2.get("username", "")
    return {"host": place.host, "port": place.port or _HTTPS, "security": "tls", "user": user}
