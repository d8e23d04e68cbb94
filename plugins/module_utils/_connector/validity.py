# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Validates fields that depend on each other, and finds settings that are worth a warning."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any

from .._errors import FieldMessage
from .declaration import CLIENT_CREDENTIALS, Declaration, client_credentials
from .domain import in_same_domain
from .effective import DEFAULT_PORT
from .fields import split_path
from .presets import PRESETS
from .secret_destinations import is_used

_APP_PASSWORD = re.compile(r"[A-Za-z]{4}(?: [A-Za-z]{4}){3}\Z")
_PASSWORD_MECHANISMS = frozenset(("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"))


def validate(
    settings: Mapping[str, Any], effective: Mapping[str, Any], secrets: Collection[str], cleared: Container[str] = ()
) -> Iterator[FieldMessage]:
    """The problems of a connector: the path of a field and what is allowed."""
    if not any(block in settings for block in ("smtp", "imap", "graph")):
        empty = [block for block in ("smtp", "imap", "graph") if block in cleared]
        advice = f": an empty {empty[0]} clears it, so give one of its fields" if empty else ""
        yield "", f"requires at least one of smtp, imap and graph{advice}"
    for block in ("smtp", "imap"):
        if block in settings:
            yield from _validate_server(block, settings, effective, secrets)
    if "smtp" in settings:
        yield from _validate_smtp(settings, effective)
    if "graph" in settings:
        yield from _validate_graph(settings, effective)
    if "oauth2" in settings:
        yield from _validate_oauth2(settings["oauth2"], settings, secrets)
    for path in sorted(secrets):
        yield from _validate_secret_use(path, effective, secrets)


def warnings(
    effective: Mapping[str, Any], declaration: Declaration, secrets: Collection[str]
) -> Iterator[FieldMessage]:
    """Settings that are allowed but probably not intended: the path of a field and the warning."""
    for path, secret in declaration.secrets.items():
        if path.endswith("password"):
            yield from _password_warnings(path, secret.reveal(), effective)
    for block in ("smtp", "imap"):
        server = effective.get(block, {})
        if block in effective:
            yield from _port_warnings(block, server["port"], server["security"])
        if server.get("auth") == "oauth2" and "username" not in server:
            yield f"{block}.username", "is missing: most servers refuse a token without a user name"
    if _sends_for_another_domain(effective):
        yield "from_address", "is in another domain than the user who signs in: set smtp.relay if that is intended"
    if "oauth2.password" in secrets:
        yield (
            "oauth2.password",
            "works only without multi-factor sign-in and is being retired: prefer client credentials",
        )


_USUAL_SECURITY = {
    "smtp": {465: "tls", 2465: "tls", 25: "starttls", 587: "starttls", 2587: "starttls"},
    "imap": {993: "tls", 143: "starttls"},
}
"""The usual value of security by port."""


def _port_warnings(block: str, port: int, security: str) -> Iterator[FieldMessage]:
    usual = _USUAL_SECURITY[block].get(port)
    if usual and (security == "tls") != (usual == "tls"):
        other = DEFAULT_PORT[block][security]
        yield (
            f"{block}.security",
            f"{security} is unusual on port {port}: use {usual} on port {port}, or {security} on port {other}",
        )


def _password_warnings(path: str, password: str, effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    block, _field = split_path(path)
    if _APP_PASSWORD.match(password):
        yield path, "looks like an app password as it is displayed; if it is refused, give it without the spaces"
    elif password != password.strip():
        yield path, "begins or ends with white space, which is taken as part of the password"
    if password == effective.get(block, {}).get("username"):
        yield f"{block}.username", "is the same as the password, and user names are shown in results"


def _sends_for_another_domain(effective: Mapping[str, Any]) -> bool:
    """Whether the From address is in another domain than the user who signs in, and no relay is declared."""
    smtp, sender = effective.get("smtp", {}), effective.get("from_address", "")
    user = smtp.get("username", "") if smtp.get("auth") != "none" else ""
    if smtp.get("relay") or "@" not in user or not sender:
        return False
    return not in_same_domain(user, sender)


def _validate_server(
    block: str, settings: Mapping[str, Any], effective: Mapping[str, Any], secrets: Collection[str]
) -> Iterator[FieldMessage]:
    server = effective[block]
    provider = settings.get("provider")
    if "host" not in server and (not provider or provider == "custom"):
        yield f"{block}.host", "is required, or a provider that sets it"
    elif "host" not in server:
        known = [name for name, preset in PRESETS.items() if block in preset and not name.startswith("ses_")]
        yield (
            f"{block}.host",
            f"is required: provider {provider} has no {block} server; providers with one: {', '.join(known)}",
        )
    if server.get("auth") == "password" and not server.get("same_credentials"):
        if "username" not in server:
            yield f"{block}.username", "is required to sign in with a password"
        if f"{block}.password" not in secrets:
            yield f"{block}.password", "is required to sign in with a password"
    if server.get("auth") == "none" and "username" in settings[block] and "auth" not in settings[block]:
        yield (
            f"{block}.username",
            f"is given without a credential: set {block}.password or oauth2, or auth: none to not sign in",
        )
    if server.get("auth") == "oauth2" and "oauth2" not in settings:
        yield f"{block}.auth", "oauth2 requires an oauth2 block"
    if "client_key" in server and "client_cert" not in server:
        yield f"{block}.client_key", "requires client_cert"
    yield from _validate_mechanisms(block, server)
    yield from _validate_proxy(block, server)


def _validate_mechanisms(block: str, server: Mapping[str, Any]) -> Iterator[FieldMessage]:
    allowed = server.get("mechanisms")
    if not allowed or server.get("auth") not in ("password", "oauth2"):
        return
    uses_password = server["auth"] == "password"
    if not any((mechanism in _PASSWORD_MECHANISMS) == uses_password for mechanism in allowed):
        yield f"{block}.mechanisms", f"must contain at least one mechanism for auth {server['auth']}"


def _validate_proxy(block: str, fields: Mapping[str, Any]) -> Iterator[FieldMessage]:
    if "proxy_username" in fields and "proxy" not in fields:
        yield f"{block}.proxy_username", "requires proxy"


def _validate_smtp(settings: Mapping[str, Any], effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    declared = settings["smtp"]
    if "uri" in declared:
        for other in ("host", "port"):
            if other in declared:
                yield f"smtp.{other}", "cannot be combined with uri"
        if declared["uri"].lower().startswith("smtps:") and declared.get("security", "tls") != "tls":
            yield "smtp.security", "must be tls or left out with an smtps:// uri"
    if declared.get("same_credentials"):
        for other in ("auth", "username"):
            if other in declared:
                yield f"smtp.{other}", "cannot be combined with same_credentials"
        if "imap" not in settings:
            yield "smtp.same_credentials", "requires an imap block"
        elif effective["imap"].get("auth") == "none":
            yield "smtp.same_credentials", "requires an imap block with auth password or oauth2"


def _validate_graph(settings: Mapping[str, Any], effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    for other in ("smtp", "imap"):
        if other in settings:
            yield "graph", f"cannot be combined with {other}: clear one of them"
    if "oauth2" not in settings:
        yield "oauth2", "is required for graph"
    if "mailbox" not in effective["graph"]:
        yield "graph.mailbox", "is required, or oauth2.username"
    elif "@" not in effective["graph"]["mailbox"]:
        yield "graph.mailbox", "is required unless oauth2.username is a mail address"
    yield from _validate_proxy("graph", settings["graph"])


def _validate_oauth2(
    block: Mapping[str, Any], settings: Mapping[str, Any], secrets: Collection[str]
) -> Iterator[FieldMessage]:
    credentials = client_credentials(dict(settings), secrets)
    has_user = "username" in block and "oauth2.password" in secrets
    if len(credentials) > 1:
        yield (
            "oauth2",
            f"only one of these can be set: {', '.join(credentials)}",
        )
    if not credentials and not has_user:
        yield (
            "oauth2",
            f"requires one of {', '.join(CLIENT_CREDENTIALS)}, or username and password",
        )
    if "client_secret_expires" in block and "client_secret" not in credentials:
        yield "oauth2.client_secret_expires", "requires client_secret"
    if "oauth2.password" in secrets and "username" not in block:
        yield "oauth2.username", "is required with oauth2.password"
    if "service_account" in credentials and "username" not in block:
        yield "oauth2.username", "is required: the user that the service account acts for"
    yield from _validate_oauth2_application(block, credentials)
    yield from _validate_proxy("oauth2", block)


def _validate_oauth2_application(block: Mapping[str, Any], credentials: list[str]) -> Iterator[FieldMessage]:
    if "token_url" in block:
        for other in ("authority", "cloud", "tenant_id"):
            if other in block:
                yield (
                    f"oauth2.{other}",
                    "cannot be combined with token_url, which is for providers other than Microsoft",
                )
        for credential in credentials:
            if credential not in ("client_secret", "service_account"):
                yield (
                    f"oauth2.{credential}",
                    "cannot be combined with token_url, which works with client_secret or service_account only",
                )
        required = ["client_id"] if "service_account" not in credentials else []
    elif set(credentials) & {"managed_identity", "service_account"}:
        required = []
    else:
        required = ["tenant_id", "client_id"]
    for name in required:
        if name not in block:
            yield f"oauth2.{name}", "is required for this way to sign in"


def _validate_secret_use(path: str, effective: Mapping[str, Any], secrets: Collection[str]) -> Iterator[FieldMessage]:
    if is_used(path, effective, secrets):
        return
    block_name, field = split_path(path)
    block = effective.get(block_name, {})
    if field == "proxy_password":
        yield path, "requires proxy"
    elif field == "certificate_passphrase":
        yield path, "requires certificate or certificate_file"
    elif block.get("same_credentials"):
        yield path, "cannot be combined with same_credentials"
    elif "username" not in block and block.get("auth") == "none":
        yield path, "requires username, and auth password or left out"
    else:
        yield path, f"is not allowed with auth {block.get('auth')}"
