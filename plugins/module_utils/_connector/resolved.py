# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The typed model of a connector: every default and preset applied, secrets opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from . import checks
from .clouds import graph_url
from .domain import in_same_domain
from .effective import with_test_address
from .secret import Secret
from .state import Connector

Protocol = Literal["smtp", "imap", "graph"]
Security = Literal["none", "starttls", "starttls_optional", "tls"]
AuthMethod = Literal["none", "password", "oauth2"]
ProxyScheme = Literal["socks5", "http"]

_HTTPS = 443


@dataclass(frozen=True)
class Proxy:
    """A proxy and the credentials for it."""

    scheme: ProxyScheme
    host: str
    port: int
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True)
class TlsTrust:
    """How a server's certificate is validated, and the client certificate."""

    validate: bool = True
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""


@dataclass(frozen=True)
class Endpoint:
    """A server: its address, encryption and credentials."""

    protocol: Protocol
    host: str
    port: int
    security: Security
    trust: TlsTrust = TlsTrust()
    proxy: Proxy | None = None
    auth: AuthMethod = "none"
    username: str = ""
    password: Secret | None = None
    mechanisms: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What the remedy of a failure names."""
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


@dataclass(frozen=True)
class SmtpSettings(Endpoint):
    """The SMTP server."""

    ehlo_name: str = ""
    same_credentials: bool = False
    relay: bool = False
    is_security_declared: bool = True
    """Whether smtp.security was declared, not derived."""


@dataclass(frozen=True)
class ImapSettings(Endpoint):
    """The IMAP server."""

    mailbox: str = "INBOX"


@dataclass(frozen=True)
class GraphSettings(Endpoint):
    """A mailbox in Microsoft Graph, to send and to read."""

    mailbox: str = ""
    save_to_sent: bool = True


@dataclass(frozen=True)
class OAuthSettings:
    """How to request a token: one client credential, or a user with a password, and the token service."""

    tenant_id: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    client_secret_expires: str = ""
    certificate: Secret | None = None
    certificate_file: str = ""
    certificate_passphrase: Secret | None = None
    assertion_file: str = ""
    managed_identity: str = ""
    service_account: Secret | None = None
    username: str = ""
    password: Secret | None = None
    cloud: str = "global"
    authority: str = ""
    token_url: str = ""
    scope: str = ""
    ca_file: str = ""
    proxy: Proxy | None = None


@dataclass(frozen=True)
class ResolvedConnector:
    """A connector with every default applied. A secret that was not opened is None, but its field is in `declared`."""

    name: str
    display_name: str = ""
    enabled: bool = True
    from_address: str = ""
    from_name: str = ""
    signature: str = ""
    description: str = ""
    reply_to: str = ""
    errors_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    test_address: str = ""
    available_to: tuple[str, ...] = ()
    smtp: SmtpSettings | None = None
    imap: ImapSettings | None = None
    graph: GraphSettings | None = None
    oauth2: OAuthSettings | None = None
    declared: frozenset[str] = frozenset()
    """The paths of the fields that have a value, declared or derived."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers that the connector talks to."""
        return tuple(each for each in (self.graph, self.smtp, self.imap) if each)

    @property
    def sender(self) -> SmtpSettings | GraphSettings | None:
        """What the connector sends with."""
        return self.graph or self.smtp

    @property
    def reader(self) -> ImapSettings | GraphSettings | None:
        """What the connector reads with."""
        return self.graph or self.imap

    @property
    def author(self) -> str:
        """The address for the From header: the declared one, else the user name if it is an address."""
        users = (self.smtp.username if self.smtp else "", self.graph.mailbox if self.graph else "")
        return self.from_address or next((each for each in users if checks.is_address(each)), "")

    @property
    def envelope_sender(self) -> str:
        """The address for bounces; empty where there is none."""
        user = self.smtp.username if self.smtp else ""
        return next((each for each in (self.errors_to, self.from_address, user) if checks.is_address(each)), "")

    @property
    def sends_for_another_domain(self) -> bool:
        """Whether the From address is in another domain than the user who signs in, and no relay is declared."""
        smtp = self.smtp
        if not smtp or smtp.relay or smtp.auth == "none" or "@" not in smtp.username or not self.from_address:
            return False
        return not in_same_domain(smtp.username, self.from_address)


def resolve_connector(connector: Connector, secrets: Mapping[str, Secret] = MappingProxyType({})) -> ResolvedConnector:
    """Resolve a stored connector with the secrets that were opened."""
    settings = with_test_address(connector.effective_settings)
    security_declared = "security" in connector.settings.get("smtp", {})
    resolved = resolve_settings(connector.name, settings, secrets, security_declared=security_declared)
    return replace(resolved, declared=resolved.declared | connector.secrets.keys())


def resolve_settings(
    name: str, settings: Mapping[str, Any], secrets: Mapping[str, Secret], *, security_declared: bool = True
) -> ResolvedConnector:
    """Build a resolved connector from effective settings, which must be valid."""
    smtp, imap, graph, oauth2 = (settings.get(block) for block in ("smtp", "imap", "graph", "oauth2"))
    inner = (f"{block}.{each}" for block in ("smtp", "imap", "graph", "oauth2") for each in settings.get(block) or ())
    return ResolvedConnector(
        name,
        display_name=settings.get("display_name", name),
        enabled=settings.get("enabled", True),
        from_address=settings.get("from_address", ""),
        from_name=settings.get("from_name", ""),
        signature=settings.get("signature", ""),
        description=settings.get("description", ""),
        reply_to=settings.get("reply_to", ""),
        errors_to=settings.get("errors_to", ""),
        cc=tuple(settings.get("cc", ())),
        bcc=tuple(settings.get("bcc", ())),
        headers=settings.get("headers", {}),
        test_address=settings.get("test_address", ""),
        available_to=tuple(settings.get("available_to", ())),
        smtp=_smtp(smtp, secrets, security_declared) if smtp is not None else None,
        imap=_imap(imap, secrets) if imap is not None else None,
        graph=_graph(graph, oauth2 or {}, secrets) if graph is not None else None,
        oauth2=_oauth2(oauth2, secrets) if oauth2 is not None else None,
        declared=frozenset([*settings, *inner, *secrets]),
    )


def _smtp(server: Mapping[str, Any], secrets: Mapping[str, Secret], security_declared: bool) -> SmtpSettings:
    same_credentials = server.get("same_credentials", False)
    return SmtpSettings(
        "smtp",
        server["host"],
        server["port"],
        server["security"],
        trust=_trust(server),
        proxy=_proxy("smtp", server, secrets),
        auth=server["auth"],
        username=server.get("username", ""),
        password=secrets.get("imap.password" if same_credentials else "smtp.password"),
        mechanisms=tuple(server.get("mechanisms", ())),
        ehlo_name=server.get("ehlo_name", ""),
        same_credentials=same_credentials,
        relay=server.get("relay", False),
        is_security_declared=security_declared,
    )


def _imap(server: Mapping[str, Any], secrets: Mapping[str, Secret]) -> ImapSettings:
    return ImapSettings(
        "imap",
        server["host"],
        server["port"],
        server["security"],
        trust=_trust(server),
        proxy=_proxy("imap", server, secrets),
        auth=server["auth"],
        username=server.get("username", ""),
        password=secrets.get("imap.password"),
        mechanisms=tuple(server.get("mechanisms", ())),
        mailbox=server.get("mailbox", "INBOX"),
    )


def _graph(block: Mapping[str, Any], oauth2: Mapping[str, Any], secrets: Mapping[str, Secret]) -> GraphSettings:
    url = graph_url(oauth2.get("cloud", "global"), block.get("url", ""))
    parsed = checks.parse_url(url, ("https",), "must be https://host or https://host:port")
    return GraphSettings(
        "graph",
        parsed.host.lower(),
        parsed.port or _HTTPS,
        "tls",
        trust=TlsTrust(ca_file=block.get("ca_file", "")),
        proxy=_proxy("graph", block, secrets),
        auth="oauth2",
        username=block["mailbox"],
        mailbox=block["mailbox"],
        save_to_sent=block.get("save_to_sent", True),
    )


def _oauth2(block: Mapping[str, Any], secrets: Mapping[str, Secret]) -> OAuthSettings:
    return OAuthSettings(
        tenant_id=block.get("tenant_id", ""),
        client_id=block.get("client_id", ""),
        client_secret=secrets.get("oauth2.client_secret"),
        client_secret_expires=block.get("client_secret_expires", ""),
        certificate=secrets.get("oauth2.certificate"),
        certificate_file=block.get("certificate_file", ""),
        certificate_passphrase=secrets.get("oauth2.certificate_passphrase"),
        assertion_file=block.get("assertion_file", ""),
        managed_identity=block.get("managed_identity", ""),
        service_account=secrets.get("oauth2.service_account"),
        username=block.get("username", ""),
        password=secrets.get("oauth2.password"),
        cloud=block.get("cloud", "global"),
        authority=block.get("authority", ""),
        token_url=block.get("token_url", ""),
        scope=block.get("scope", ""),
        ca_file=block.get("ca_file", ""),
        proxy=_proxy("oauth2", block, secrets),
    )


def _trust(server: Mapping[str, Any]) -> TlsTrust:
    return TlsTrust(
        server.get("validate_certs", True),
        server.get("ca_file", ""),
        server.get("client_cert", ""),
        server.get("client_key", ""),
    )


def _proxy(block: str, settings: Mapping[str, Any], secrets: Mapping[str, Secret]) -> Proxy | None:
    if "proxy" not in settings:
        return None
    scheme, host, port = checks.parse_proxy(settings["proxy"])
    username, password = settings.get("proxy_username", ""), secrets.get(f"{block}.proxy_password")
    return Proxy("socks5" if scheme == "socks5" else "http", host, port, username, password)
