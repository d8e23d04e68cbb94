# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A connector as one tree of names and values: what the generic targets write, under names that do not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._connector.fields import SECRETS
from .._connector.resolved import Endpoint, GraphSettings, ImapSettings, OAuthSettings, Proxy, ResolvedConnector
from .._connector.secret import Secret

BLOCKS = ("smtp", "imap", "graph", "oauth2")
SECRET_NAMES = tuple(sorted({path.rpartition(".")[2] for path in SECRETS}))


def tree_of(connector: ResolvedConnector) -> dict[str, Any]:
    """Every name is always there, with None where there is no value; a block that the connector lacks is None."""
    return {
        "name": connector.name,
        "display_name": connector.display_name,
        "from_address": connector.from_address or None,
        "from_name": connector.from_name or None,
        "reply_to": connector.reply_to or None,
        "errors_to": connector.errors_to or None,
        "cc": list(connector.cc),
        "bcc": list(connector.bcc),
        "headers": dict(connector.headers),
        "signature": connector.signature or None,
        "smtp": _server(connector.smtp) if connector.smtp else None,
        "imap": _server(connector.imap) if connector.imap else None,
        "graph": _graph(connector.graph) if connector.graph else None,
        "oauth2": _oauth2(connector.oauth2) if connector.oauth2 else None,
    }


def secret_paths(connector: ResolvedConnector) -> tuple[str, ...]:
    """The secrets that are in the tree."""
    paths = set(SECRETS & connector.declared)
    if connector.smtp and connector.smtp.same_credentials:
        paths.add("imap.password")
    return tuple(sorted(paths))


def flatten(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each value of the tree with its path; nothing of blocks that the connector lacks."""
    for name, value in tree.items():
        if name not in BLOCKS:
            yield name, value
        elif value is not None:
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())


def _server(server: Endpoint) -> dict[str, Any]:
    block: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "security": server.security,
        "auth": server.auth,
        "username": server.username or None,
        "password": _reveal(server.password),
        "mechanisms": list(server.mechanisms),
        "validate_certs": server.trust.validate,
        "ca_file": server.trust.ca_file or None,
        "client_cert": server.trust.client_cert or None,
        "client_key": server.trust.client_key or None,
        **_proxy(server.proxy),
    }
    if isinstance(server, ImapSettings):
        return {**block, "mailbox": server.mailbox}
    return {**block, "ehlo_name": getattr(server, "ehlo_name", "") or None}


def _graph(graph: GraphSettings) -> dict[str, Any]:
    port = "" if graph.port == 443 else f":{graph.port}"
    return {
        "mailbox": graph.mailbox,
        "url": f"https://{graph.host}{port}",
        "save_to_sent": graph.save_to_sent,
        "ca_file": graph.trust.ca_file or None,
        **_proxy(graph.proxy),
    }


def _oauth2(oauth2: OAuthSettings) -> dict[str, Any]:
    return {
        "tenant_id": oauth2.tenant_id or None,
        "client_id": oauth2.client_id or None,
        "client_secret": _reveal(oauth2.client_secret),
        "certificate": _reveal(oauth2.certificate),
        "certificate_file": oauth2.certificate_file or None,
        "certificate_passphrase": _reveal(oauth2.certificate_passphrase),
        "assertion_file": oauth2.assertion_file or None,
        "managed_identity": oauth2.managed_identity or None,
        "service_account": _reveal(oauth2.service_account),
        "username": oauth2.username or None,
        "password": _reveal(oauth2.password),
        "cloud": oauth2.cloud,
        "authority": oauth2.authority or None,
        "token_url": oauth2.token_url or None,
        "scope": oauth2.scope or None,
        "ca_file": oauth2.ca_file or None,
        **_proxy(oauth2.proxy),
    }


def _proxy(proxy: Proxy | None) -> dict[str, Any]:
    host = f"[{proxy.host}]" if proxy and ":" in proxy.host else proxy.host if proxy else ""
    return {
        "proxy": f"{proxy.scheme}://{host}:{proxy.port}" if proxy else None,
        "proxy_username": proxy.username or None if proxy else None,
        "proxy_password": _reveal(proxy.password) if proxy else None,
    }


def _reveal(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None
