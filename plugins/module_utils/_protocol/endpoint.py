# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""One server of a connector, with all that is needed to talk to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .._auth.clouds import graph_of
from .._connector import checks
from .._connector.secret import Secret
from .._net.proxy import Proxy
from .._net.tls import Trust


@dataclass(frozen=True)
class Endpoint:
    """Where to connect, how to encrypt, and who signs in."""

    protocol: str
    host: str
    port: int
    security: str
    trust: Trust = field(default_factory=Trust)
    proxy: Proxy | None = None
    auth: str = "none"
    username: str = ""
    password: Secret | None = None
    mechanisms: tuple[str, ...] = ()
    ehlo_name: str = ""
    mailbox: str = "INBOX"

    def facts(self) -> dict[str, Any]:
        """What a remedy may speak of."""
        other = {"starttls": "tls", "starttls_optional": "tls", "none": "tls", "tls": "starttls"}
        return {
            "host": self.host,
            "port": self.port,
            "security": self.security,
            "better_security": other[self.security],
            "auth": self.auth,
            "username": self.username or "the user",
            "protocol": self.protocol.upper(),
        }


def endpoints_of(effective: Mapping[str, Any], secrets: Mapping[str, Secret]) -> list[Endpoint]:
    """The servers that a connector talks to."""
    if "graph" in effective:
        return [_graph_endpoint(effective, secrets)]
    return [_mail_endpoint(block, effective, secrets) for block in ("smtp", "imap") if block in effective]


def _graph_endpoint(effective: Mapping[str, Any], secrets: Mapping[str, Secret]) -> Endpoint:
    graph = effective["graph"]
    url = urlsplit(graph_of(effective["oauth2"].get("cloud", "global"), graph.get("url", "")))
    return Endpoint(
        protocol="graph",
        host=url.hostname or "",
        port=url.port or 443,
        security="tls",
        trust=Trust(ca_file=graph.get("ca_file", "")),
        proxy=proxy_of(graph, secrets.get("graph.proxy_password")),
        auth="oauth2",
        username=graph["mailbox"],
        mailbox=graph["mailbox"],
    )


def _mail_endpoint(protocol: str, effective: Mapping[str, Any], secrets: Mapping[str, Secret]) -> Endpoint:
    server = effective[protocol]
    owner = "imap" if server.get("same_credentials") else protocol
    return Endpoint(
        protocol=protocol,
        host=server["host"],
        port=server["port"],
        security=server["security"],
        trust=Trust(
            server["validate_certs"],
            server.get("ca_file", ""),
            server.get("client_cert", ""),
            server.get("client_key", ""),
        ),
        proxy=proxy_of(server, secrets.get(f"{protocol}.proxy_password")),
        auth=server["auth"],
        username=server.get("username", ""),
        password=secrets.get(f"{owner}.password"),
        mechanisms=tuple(server.get("mechanisms", ())),
        ehlo_name=server.get("ehlo_name", ""),
        mailbox=server.get("mailbox", "INBOX"),
    )


def proxy_of(block: Mapping[str, Any], password: Secret | None) -> Proxy | None:
    """The proxy that a block names, if it names one."""
    if "proxy" not in block:
        return None
    where = checks.endpoint(block["proxy"], ("socks5", "http"), "")
    return Proxy(where.scheme, where.host, where.port or 0, block.get("proxy_username", ""), password)
