# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""GitLab (Linux package): outgoing and incoming mail in gitlab.rb, over SMTP, IMAP and Microsoft Graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..._connector.clouds import authority_url
from ..._connector.resolved import OAuthSettings, Protocol, ResolvedConnector
from ..._errors import FieldMessage
from ..formats import literals, managed_block
from ..interface import Account, Option

_MECHANISMS = {"PLAIN": "plain", "LOGIN": "login", "CRAM-MD5": "cram_md5"}
_KEY = "%{key}"


class Gitlab(managed_block.ManagedBlockTarget):
    """A forge that sends notices and reads answers to them."""

    name = "gitlab"
    protocols = ("smtp", "imap", "graph")
    securities = ("none", "starttls_optional", "starttls", "tls")
    supported_features = frozenset(
        ("from_address", "from_name", "reply_to", "smtp.mechanisms", "smtp.ca_file", "smtp.ehlo_name", "imap.mailbox")
    )
    options = (Option("incoming_address"),)
    secret = re.compile(r"^(gitlab_rails\['\w*(?:password|client_secret|inbox_options)'\] = ).*$", re.MULTILINE)
    check = ("gitlab-ctl", "show-config")

    def written_protocols(self, options: Mapping[str, Any]) -> tuple[Protocol, ...]:
        return tuple(each for each in self.protocols if each != "imap" or options.get("incoming_address"))

    def secret_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        secret = ("oauth2.client_secret",) if "oauth2.client_secret" in connector.declared and connector.graph else ()
        return (*super().secret_paths(connector, options), *secret)

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector, address = account.connector, account.options.get("incoming_address") or ""
        if address and (_KEY not in address.partition("@")[0] or not (connector.imap or connector.graph)):
            yield "options.incoming_address", f"must hold {_KEY} before the @, and needs an imap or graph block"
        if connector.graph:
            yield from _graph_problems(connector)
            if self.forbidden.search(_secret(connector.oauth2 or OAuthSettings())):
                yield "oauth2.client_secret", "cannot hold control characters in gitlab"
        for server in account.endpoints:
            if server.auth == "oauth2" and server.protocol != "graph":
                yield f"{server.protocol}.auth", "cannot be oauth2 in gitlab"
            if server.protocol == "smtp" and server.security == "starttls":
                yield "smtp.security", "must be starttls_optional, tls or none: gitlab cannot demand STARTTLS"
            if server.protocol == "smtp" and (
                len(server.mechanisms) > 1 or not _MECHANISMS.keys() >= set(server.mechanisms)
            ):
                yield "smtp.mechanisms", f"can name one of {', '.join(_MECHANISMS)} in gitlab"
            if server.protocol == "imap" and server.security == "starttls_optional":
                yield "imap.security", "must be one of none, starttls, tls for gitlab"
            if server.protocol == "imap" and not server.trust.validate:
                yield "imap.validate_certs", "must be true for gitlab, which always checks certificates"

    def render(self, text: str, account: Account) -> str:
        text = managed_block.remove_block(text)
        if "__END__" in text.split("\n"):
            managed_block.refuse("holds __END__, after which nothing is read")
        settings = {**dict(_outgoing(account)), **dict(_incoming(account))}
        lines = [f"gitlab_rails['{name}'] = {literals.ruby(value)}" for name, value in settings.items()]
        return managed_block.append_block(text, lines)


def _graph_problems(connector: ResolvedConnector) -> Iterator[FieldMessage]:
    oauth2 = connector.oauth2 or OAuthSettings()
    if not oauth2.client_secret:
        yield "oauth2.client_secret", "is required by gitlab, which signs in to Microsoft Graph with nothing else"
    for name in ("username", "certificate", "certificate_file", "assertion_file", "managed_identity", "scope"):
        if f"oauth2.{name}" in connector.declared:
            yield f"oauth2.{name}", "cannot be expressed in gitlab"
    if connector.graph and not connector.graph.save_to_sent:
        yield "graph.save_to_sent", "must be true for gitlab"


def _outgoing(account: Account) -> Iterator[tuple[str, Any]]:
    connector = account.connector
    if connector.graph:
        oauth2 = connector.oauth2 or OAuthSettings()
        yield "microsoft_graph_mailer_enabled", True
        yield "microsoft_graph_mailer_user_id", connector.graph.mailbox
        yield "microsoft_graph_mailer_tenant", oauth2.tenant_id
        yield "microsoft_graph_mailer_client_id", oauth2.client_id
        yield "microsoft_graph_mailer_client_secret", _secret(oauth2)
        yield "microsoft_graph_mailer_azure_ad_endpoint", authority_url(oauth2.cloud, oauth2.authority)
        yield "microsoft_graph_mailer_graph_endpoint", _graph_url(connector)
    elif connector.smtp:
        yield from _smtp(account)
    if connector.smtp or connector.graph:
        yield "gitlab_email_enabled", True
        names = {"from": "from_address", "display_name": "from_name", "reply_to": "reply_to"}
        for name, field in names.items():
            if getattr(connector, field):
                yield f"gitlab_email_{name}", getattr(connector, field)


def _smtp(account: Account) -> Iterator[tuple[str, Any]]:
    server, trust = account.smtp, account.smtp.trust
    yield "smtp_enable", True
    yield "smtp_address", server.host
    yield "smtp_port", server.port
    if server.ehlo_name:
        yield "smtp_domain", server.ehlo_name
    if server.password and server.auth == "password":
        yield "smtp_user_name", server.username
        yield "smtp_password", server.password.reveal()
        yield "smtp_authentication", _MECHANISMS[server.mechanisms[0] if server.mechanisms else "PLAIN"]
    yield "smtp_enable_starttls_auto", server.security == "starttls_optional"
    yield "smtp_tls", server.security == "tls"
    yield "smtp_openssl_verify_mode", "peer" if trust.validate else "none"
    if trust.ca_file and trust.validate:
        yield "smtp_ca_file", trust.ca_file


def _incoming(account: Account) -> Iterator[tuple[str, Any]]:
    connector, address = account.connector, account.options.get("incoming_address")
    if not address:
        return
    yield "incoming_email_enabled", True
    yield "incoming_email_address", address
    if connector.graph:
        oauth2 = connector.oauth2 or OAuthSettings()
        yield "incoming_email_email", connector.graph.mailbox
        yield "incoming_email_inbox_method", "microsoft_graph"
        yield (
            "incoming_email_inbox_options",
            {
                "tenant_id": oauth2.tenant_id,
                "client_id": oauth2.client_id,
                "client_secret": _secret(oauth2),
                "azure_ad_endpoint": authority_url(oauth2.cloud, oauth2.authority),
                "graph_endpoint": _graph_url(connector),
            },
        )
        return
    server = account.imap
    yield "incoming_email_email", server.username
    yield "incoming_email_password", server.password.reveal() if server.password else ""
    yield "incoming_email_host", server.host
    yield "incoming_email_port", server.port
    yield "incoming_email_ssl", server.security == "tls"
    yield "incoming_email_start_tls", server.security == "starttls"
    yield "incoming_email_mailbox_name", server.mailbox


def _secret(oauth2: OAuthSettings) -> str:
    return oauth2.client_secret.reveal() if oauth2.client_secret else ""


def _graph_url(connector: ResolvedConnector) -> str:
    if connector.graph is None:
        return ""
    return f"https://{connector.graph.host}" + ("" if connector.graph.port == 443 else f":{connector.graph.port}")
