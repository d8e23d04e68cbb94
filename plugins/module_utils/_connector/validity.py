# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which fields may stand together, and what is worth a warning."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .._errors import FieldMessage
from .declaration import WAYS, Declaration, ways_of
from .domain import in_same_domain
from .effective import USUAL_PORT
from .fields import split_path
from .presets import PRESETS
from .secret_destinations import has_use

_APP_PASSWORD = re.compile(r"[A-Za-z]{4}(?: [A-Za-z]{4}){3}\Z")
_BY_PASSWORD = frozenset(("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"))


def validate(
    settings: Mapping[str, Any], effective: Mapping[str, Any], secrets: Collection[str]
) -> Iterator[FieldMessage]:
    """Each (field, what is allowed) that keeps the connector from being valid."""
    if not any(block in settings for block in ("smtp", "imap", "graph")):
        yield "", "needs at least one of smtp, imap and graph"
    for block in ("smtp", "imap"):
        if block in settings:
            yield from _server(block, settings, effective, secrets)
    if "smtp" in settings:
        yield from _smtp(settings, effective)
    if "graph" in settings:
        yield from _graph(settings, effective)
    if "oauth2" in settings:
        yield from _oauth2(settings["oauth2"], settings, secrets)
    for path in sorted(secrets):
        yield from _unused_secret(path, effective, secrets)


def warnings(
    effective: Mapping[str, Any], declaration: Declaration, secrets: Collection[str]
) -> Iterator[FieldMessage]:
    """Each (field, remark) about what is allowed but probably not meant."""
    for path, secret in declaration.secrets.items():
        if path.endswith("password"):
            yield from _about_password(path, secret.reveal(), effective)
    for block in ("smtp", "imap"):
        server = effective.get(block, {})
        if block in effective:
            yield from _unusual_pair(block, server["port"], server["security"])
        if server.get("auth") == "oauth2" and "username" not in server:
            yield f"{block}.username", "is missing: most servers refuse a token that names no user"
    if _sends_for_another_domain(effective):
        yield "from_address", "is in another domain than the user who signs in: set smtp.relay if that is meant"
    if "oauth2.password" in secrets:
        yield (
            "oauth2.password",
            "works only without multi-factor sign-in and is being retired: prefer client credentials",
        )


_USUAL_SECURITY = {
    "smtp": {465: "tls", 2465: "tls", 25: "starttls", 587: "starttls", 2587: "starttls"},
    "imap": {993: "tls", 143: "starttls"},
}
"""The encryption that the servers on a port expect."""


def _unusual_pair(block: str, port: int, security: str) -> Iterator[FieldMessage]:
    usual = _USUAL_SECURITY[block].get(port)
    if usual and (security == "tls") != (usual == "tls"):
        other = USUAL_PORT[block][security]
        yield (
            f"{block}.security",
            f"{security} is unusual on port {port}: usual are {usual} on {port}, and {security} on {other}",
        )


def _about_password(path: str, password: str, effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    block, _field = split_path(path)
    if _APP_PASSWORD.match(password):
        yield path, "looks like an app password as it is displayed; if it is refused, give it without the spaces"
    elif password != password.strip():
        yield path, "begins or ends with white space, which is taken literally"
    if password == effective.get(block, {}).get("username"):
        yield f"{block}.username", "is the same as the password, which lies open and is shown that way"


def _sends_for_another_domain(effective: Mapping[str, Any]) -> bool:
    """Whether the From address is in another domain than the user who signs in, and no relay is declared."""
    smtp, sender = effective.get("smtp", {}), effective.get("from_address", "")
    user = smtp.get("username", "") if smtp.get("auth") != "none" else ""
    if smtp.get("relay") or "@" not in user or not sender:
        return False
    return not in_same_domain(user, sender)


def _server(
    block: str, settings: Mapping[str, Any], effective: Mapping[str, Any], secrets: Collection[str]
) -> Iterator[FieldMessage]:
    server = effective[block]
    provider = settings.get("provider")
    if "host" not in server and (not provider or provider == "custom"):
        yield f"{block}.host", "is required, or a provider that fills it"
    elif "host" not in server:
        known = [name for name, preset in PRESETS.items() if block in preset and not name.startswith("ses_")]
        yield (
            f"{block}.host",
            f"is required: provider {provider} names no {block} server; these do: {', '.join(known)}",
        )
    if server.get("auth") == "password" and not server.get("same_credentials"):
        if "username" not in server:
            yield f"{block}.username", "is required to sign in with a password"
        if f"{block}.password" not in secrets:
            yield f"{block}.password", "is required to sign in with a password"
    if server.get("auth") == "none" and "username" in settings[block] and "auth" not in settings[block]:
        yield (
            f"{block}.username",
            f"has nothing to sign in with: give {block}.password or oauth2, or write auth: none if nobody signs in",
        )
    if server.get("auth") == "oauth2" and "oauth2" not in settings:
        yield f"{block}.auth", "oauth2 needs an oauth2 block"
    if "client_key" in server and "client_cert" not in server:
        yield f"{block}.client_key", "needs client_cert beside it"
    yield from _mechanisms(block, server)
    yield from _proxy(block, server)


def _mechanisms(block: str, server: Mapping[str, Any]) -> Iterator[FieldMessage]:
    allowed = server.get("mechanisms")
    if not allowed or server.get("auth") not in ("password", "oauth2"):
        return
    by_password = server["auth"] == "password"
    if not any((mechanism in _BY_PASSWORD) == by_password for mechanism in allowed):
        yield f"{block}.mechanisms", f"must name at least one that works with auth {server['auth']}"


def _proxy(block: str, fields: Mapping[str, Any]) -> Iterator[FieldMessage]:
    if "proxy_username" in fields and "proxy" not in fields:
        yield f"{block}.proxy_username", "needs proxy beside it"


def _smtp(settings: Mapping[str, Any], effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    declared = settings["smtp"]
    if "uri" in declared:
        for other in ("host", "port"):
            if other in declared:
                yield f"smtp.{other}", "cannot stand beside uri, which says it already"
        if declared["uri"].lower().startswith("smtps:") and declared.get("security", "tls") != "tls":
            yield "smtp.security", "must be tls or left out beside an smtps uri"
    if declared.get("same_credentials"):
        for other in ("auth", "username"):
            if other in declared:
                yield f"smtp.{other}", "cannot stand beside same_credentials"
        if "imap" not in settings:
            yield "smtp.same_credentials", "needs an imap block to sign in as"
        elif effective["imap"].get("auth") == "none":
            yield "smtp.same_credentials", "needs an imap block that signs in"


def _graph(settings: Mapping[str, Any], effective: Mapping[str, Any]) -> Iterator[FieldMessage]:
    for other in ("smtp", "imap"):
        if other in settings:
            yield "graph", f"excludes {other}: clear one of them"
    if "oauth2" not in settings:
        yield "oauth2", "is required for graph"
    if "mailbox" not in effective["graph"]:
        yield "graph.mailbox", "is required, or oauth2.username"
    elif "@" not in effective["graph"]["mailbox"]:
        yield "graph.mailbox", "is required where oauth2.username is not a mail address"
    yield from _proxy("graph", settings["graph"])


def _oauth2(block: Mapping[str, Any], settings: Mapping[str, Any], secrets: Collection[str]) -> Iterator[FieldMessage]:
    ways = ways_of(dict(settings), secrets)
    has_user = "username" in block and "oauth2.password" in secrets
    if len(ways) > 1:
        yield "oauth2", f"only one way to sign in is allowed, and there are {len(ways)}: {', '.join(ways)}"
    if not ways and not has_user:
        yield (
            "oauth2",
            f"needs one of {', '.join(WAYS)}, or username and password",
        )
    if "client_secret_expires" in block and "client_secret" not in ways:
        yield "oauth2.client_secret_expires", "needs client_secret beside it"
    if "oauth2.password" in secrets and "username" not in block:
        yield "oauth2.username", "is required beside oauth2.password"
    if "service_account" in ways and "username" not in block:
        yield "oauth2.username", "is required: the user that the service account acts for"
    yield from _oauth2_application(block, ways)
    yield from _proxy("oauth2", block)


def _oauth2_application(block: Mapping[str, Any], ways: list[str]) -> Iterator[FieldMessage]:
    if "token_url" in block:
        for other in ("authority", "cloud", "tenant_id"):
            if other in block:
                yield f"oauth2.{other}", "cannot stand beside token_url, which is for other providers than Microsoft"
        for way in ways:
            if way not in ("client_secret", "service_account"):
                yield f"oauth2.{way}", "cannot stand beside token_url, where only client_secret serves"
        required = ["client_id"] if "service_account" not in ways else []
    elif set(ways) & {"managed_identity", "service_account"}:
        required = []
    else:
        required = ["tenant_id", "client_id"]
    for name in required:
        if name not in block:
            yield f"oauth2.{name}", "is required for this way to sign in"


def _unused_secret(path: str, effective: Mapping[str, Any], secrets: Collection[str]) -> Iterator[FieldMessage]:
    if has_use(path, effective, secrets):
        return
    block_name, field = split_path(path)
    block = effective.get(block_name, {})
    if field == "proxy_password":
        yield path, "needs proxy beside it"
    elif field == "certificate_passphrase":
        yield path, "needs certificate or certificate_file beside it"
    elif block.get("same_credentials"):
        yield path, "cannot stand beside same_credentials"
    elif "username" not in block and block.get("auth") == "none":
        yield path, "needs username beside it, and auth password or left out"
    else:
        yield path, f"is not allowed with auth {block.get('auth')}"
